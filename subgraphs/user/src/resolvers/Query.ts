import { viewerOf } from '@taskflow/kit/call';
import type { QueryResolvers } from '../generated/graphql.ts';

export const Query: QueryResolvers = {
  viewer: async (_, _args, context) =>
    context.people.present(await context.loaders.user.load(viewerOf(context).userId)),
  users: (_, args, context) => context.people.list(viewerOf(context), args),
};
