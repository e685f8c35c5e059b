import type { UserResolvers } from '../generated/graphql.ts';

export const User: UserResolvers = {
  __resolveReference: ({ id }, { loaders }) => loaders.user.load(id),
  isViewer: ({ id }, _, { viewer }) => id === viewer?.userId,
};
