import { payloadOf } from '@taskflow/kit/errors';
import { requireViewer } from '../context.ts';
import type { MutationResolvers } from '../generated/graphql.ts';

export const Mutation: MutationResolvers = {
  notificationMarkRead: (_, { input }, context) =>
    payloadOf(input, () => context.inbox.markRead(requireViewer(context), input, context.requestId)),
};
