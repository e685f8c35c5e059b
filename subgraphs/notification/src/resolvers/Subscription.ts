import { viewerOf } from '@taskflow/kit/call';
import type { SubscriptionResolvers } from '../generated/graphql.ts';

export const Subscription: SubscriptionResolvers = {
  notificationEvents: {
    subscribe: (_, { after }, context) =>
      context.events.subscribe(viewerOf(context), { after, resumeAfter: context.resumeAfter }),
  },
};
