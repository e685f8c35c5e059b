import type { ProjectResolvers } from '../generated/graphql.ts';

export const Project: ProjectResolvers = {
  tasks: ({ id }, args, { loaders }) => loaders.tasksOfProject(id, args),
};
