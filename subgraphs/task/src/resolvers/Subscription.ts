import { readerOf } from '@taskflow/kit/call';
import type { SubscriptionResolvers } from '../generated/graphql.ts';

export const Subscription: SubscriptionResolvers = {
  taskEvents: {
    subscribe: (_, { filter, after }, context) =>
      context.events.subscribe(readerOf(context), filter ?? {}, { after, resumeAfter: context.resumeAfter }),
  },
};
