/**
 * Who is told what about a fact of the task subgraph. Pure: the same fact always makes the same notices.
 * Nobody is told about what they did themselves.
 */
export interface Notice {
  readonly userId: string;
  readonly kind: 'TASK_ASSIGNED' | 'TASK_STATUS_CHANGED';
  /** With the names of this moment; at most 600 characters. */
  readonly title: string;
}

export interface TaskSnapshot {
  readonly key: string;
  readonly title: string;
  readonly status: string;
  readonly assigneeId: string | null;
  readonly creatorId: string;
}

const STATUS_LABELS: Readonly<Record<string, string>> = {
  BACKLOG: 'in the backlog',
  TODO: 'to do',
  IN_PROGRESS: 'in progress',
  IN_REVIEW: 'in review',
  DONE: 'done',
  CANCELED: 'canceled',
};

export function assignmentNotices(task: TaskSnapshot, actorId: string | null): Notice[] {
  if (task.assigneeId === null || task.assigneeId === actorId) return [];
  return [
    {
      userId: task.assigneeId,
      kind: 'TASK_ASSIGNED',
      title: `${task.key} was assigned to you: ${task.title}`,
    },
  ];
}

export function statusNotices(task: TaskSnapshot, actorId: string | null): Notice[] {
  const title = `${task.key} is ${STATUS_LABELS[task.status] ?? task.status}: ${task.title}`;
  const concerned = new Set([task.assigneeId, task.creatorId]);
  return [...concerned].flatMap((userId) =>
    userId === null || userId === actorId ? [] : { userId, kind: 'TASK_STATUS_CHANGED', title },
  );
}
