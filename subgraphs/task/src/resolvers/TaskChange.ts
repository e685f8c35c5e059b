import type { TaskChangeResolvers } from '../generated/graphql.ts';

export const TaskChange: TaskChangeResolvers = {
  task: async ({ kind, taskId, watches }, _, { loaders }) => {
    const row = kind === 'DELETED' ? null : await loaders.task.load(taskId);
    return row && watches(row) ? row : null;
  },
  actor: ({ actorId }) => (actorId === null ? null : { id: actorId }),
};
