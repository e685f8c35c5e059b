import { viewerOf } from '@taskflow/kit/call';
import { payloadOf } from '@taskflow/kit/errors';
import type { MutationResolvers } from '../generated/graphql.ts';

export const Mutation: MutationResolvers = {
  notificationMarkRead: (_, { input }, context) =>
    payloadOf(input, () => context.inbox.markRead(viewerOf(context), input, context.requestId)),
};
