import { viewerOf } from '@taskflow/kit/call';
import type { QueryResolvers } from '../generated/graphql.ts';

export const Query: QueryResolvers = {
  notifications: (_, args, context) => context.inbox.list(viewerOf(context), args),
  notificationCounts: (_, _args, context) => context.inbox.counts(viewerOf(context)),
};
