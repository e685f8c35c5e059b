import type { UserResolvers } from '../generated/graphql.ts';

export const User: UserResolvers = {
  openTaskCount: ({ id }, _, { loaders }) => loaders.openTaskCount.load(id),
};
