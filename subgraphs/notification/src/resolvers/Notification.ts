import type { NotificationResolvers } from '../generated/graphql.ts';

export const Notification: NotificationResolvers = {
  __resolveReference: ({ id }, { loaders }) => loaders.notification.load(id),
  task: ({ taskId }) => (taskId === null ? null : { id: taskId }),
  actor: ({ actorId }) => (actorId === null ? null : { id: actorId }),
};
