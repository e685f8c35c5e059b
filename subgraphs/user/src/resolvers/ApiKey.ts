import type { ApiKeyResolvers } from '../generated/graphql.ts';

export const ApiKey: ApiKeyResolvers = {
  createdBy: ({ createdBy }, _, { loaders }) => loaders.user.load(createdBy),
};
