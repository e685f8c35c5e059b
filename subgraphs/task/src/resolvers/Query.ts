import { viewerOf } from '@taskflow/kit/call';
import type { QueryResolvers } from '../generated/graphql.ts';

export const Query: QueryResolvers = {
  task: (_, { id }, { loaders }) => loaders.task.load(id),
  tasks: (_, args, context) => context.tasks.list(viewerOf(context), args),
};
