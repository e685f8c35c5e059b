/** Facts of other services, as their relays would deliver them: what a subgraph under test consumes. */
import { randomUUID } from 'node:crypto';
import { type FactOf, makeFact } from '@taskflow/schema/events';

export interface TaskFactOptions {
  orgId: string;
  assigneeId?: string | null;
  /** Who did it; the creator when absent. */
  actorId?: string;
  creatorId?: string;
  taskId?: string;
  version?: number;
  key?: string;
  title?: string;
  status?: FactOf<'task.updated'>['after']['status'];
}

export function taskAssigned(options: TaskFactOptions): FactOf<'task.assigned'> {
  const { common, after } = partsOf(options);
  return makeFact({ type: 'task.assigned', ...common, before: { ...after, assigneeId: null }, after });
}

export function taskStatusChanged(options: TaskFactOptions): FactOf<'task.status-changed'> {
  const { common, after } = partsOf({ status: 'IN_PROGRESS', ...options });
  return makeFact({ type: 'task.status-changed', ...common, before: { ...after, status: 'TODO' }, after });
}

function partsOf(options: TaskFactOptions) {
  const { orgId, taskId = randomUUID(), version = 1, creatorId = randomUUID() } = options;
  const after = {
    ...{ id: taskId, key: options.key ?? 'ENG-1', title: options.title ?? 'Draw the board' },
    ...{ status: options.status ?? 'TODO', priority: 'NONE' as const, tags: [] },
    ...{ assigneeId: options.assigneeId ?? null, creatorId, projectId: null },
    ...{ dueAt: null, archivedAt: null, deletedAt: null, createdAt: new Date().toISOString(), version },
  };
  const actor = { userId: options.actorId ?? creatorId };
  return { common: { orgId, aggregate: { id: taskId, version }, actor, requestId: 'test' }, after };
}
