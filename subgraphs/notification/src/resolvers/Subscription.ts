import { requireViewer } from '../context.ts';
import type { SubscriptionResolvers } from '../generated/graphql.ts';

export const Subscription: SubscriptionResolvers = {
  notificationEvents: {
    subscribe: (_, { after }, context) =>
      context.events.subscribe(requireViewer(context), { after, resumeAfter: context.resumeAfter }),
  },
};
