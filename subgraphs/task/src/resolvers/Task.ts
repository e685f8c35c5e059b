import { readerOf } from '@taskflow/kit/call';
import { canDelete, canSeeProjects, canUpdate } from '../domain/task-policy.ts';
import type { TaskResolvers } from '../generated/graphql.ts';

export const Task: TaskResolvers = {
  __resolveReference: ({ id }, { loaders }) => loaders.task.load(id),
  assignee: ({ assigneeId }) => (assigneeId === null ? null : { id: assigneeId }),
  creator: ({ creatorId }) => ({ id: creatorId }),
  project: ({ projectId }, _, context) =>
    projectId === null || !canSeeProjects(readerOf(context)) ? null : { id: projectId },
  viewerCanUpdate: async (row, _, { loaders }) =>
    row.deletedAt === null && canUpdate(await loaders.sight(), row),
  viewerCanDelete: async (row, _, { loaders }) =>
    row.deletedAt === null && canDelete(await loaders.sight(), row),
};
