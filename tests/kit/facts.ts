/** Facts of other services, as their relays would deliver them: what a subgraph under test consumes. */
import { createHash, randomUUID } from 'node:crypto';
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

/** Somebody asks for their data. Facts of one export arrive in order, so that one may be the marker behind another. */
export function dataExportRequested(
  { orgId, userId }: { orgId: string; userId: string },
  { email = 'ada@acme.test', exportId = randomUUID() as string } = {},
): FactOf<'data-export.requested'> {
  return makeFact({
    type: 'data-export.requested',
    ...{ orgId, aggregate: { id: exportId, version: 1 }, actor: { userId }, requestId: 'test' },
    ...{ before: null, after: { userId, emailHash: createHash('sha256').update(email).digest('hex') } },
  });
}

/** What a subgraph answered to it: the JSON of its pieces, from the facts that it appended. */
export function gatheredBy(
  request: FactOf<'data-export.requested'>,
  answers: readonly FactOf<'org-data.gathered' | 'task-data.gathered' | 'notification-data.gathered'>[],
): Record<string, Record<string, unknown>[]> {
  const pieces = answers.map(({ after }) => after);
  for (const [index, piece] of pieces.entries()) {
    const { exportId, userId, count } = piece;
    if (exportId !== request.aggregate.id || userId !== request.after.userId) throw new Error('of another');
    if (piece.index !== index || count !== pieces.length) throw new Error(`${index} of ${count} is not next`);
  }
  return JSON.parse(pieces.map(({ content }) => content).join(''));
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
