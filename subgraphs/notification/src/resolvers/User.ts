import type { UserResolvers } from '../generated/graphql.ts';

export const User: UserResolvers = {
  notificationCounts: ({ id }, _, { loaders }) => loaders.counts.load(id),
};
