import { requireViewer } from '../context.ts';
import type { QueryResolvers } from '../generated/graphql.ts';

export const Query: QueryResolvers = {
  notifications: (_, args, context) => context.inbox.list(requireViewer(context), args),
  notificationCounts: (_, _args, context) => context.inbox.counts(requireViewer(context)),
};
