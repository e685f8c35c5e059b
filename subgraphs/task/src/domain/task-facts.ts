/** What this service tells about a change of a task, and how the columns of an image are called in the schema. */
import type { Call } from '@taskflow/kit/call';
import type { FieldNames } from '@taskflow/kit/changes';
import { makeFact, type TaskImage } from '@taskflow/schema/events';
import type { OwnFact } from '../data/outbox.ts';
import type { TaskRow } from '../data/tasks.ts';

/** Columns of an image → fields of Task. `version` and `deletedAt` change with everything, or are no field. */
export const FIELD_NAMES: FieldNames = {
  assigneeId: 'assignee',
  creatorId: 'creator',
  projectId: 'project',
  version: null,
  deletedAt: null,
};

/** All that decides on visibility and filters; the description only where it has changed, for it is long. */
function imageOf(row: TaskRow, { withDescription }: { withDescription: boolean }): TaskImage {
  const { description, updatedAt: _, dueAt, createdAt, archivedAt, deletedAt, ...values } = row;
  return {
    ...values,
    dueAt: dueAt?.toISOString() ?? null,
    createdAt: createdAt.toISOString(),
    archivedAt: archivedAt?.toISOString() ?? null,
    deletedAt: deletedAt?.toISOString() ?? null,
    ...(withDescription ? { description } : {}),
  };
}

/** Who changed it, and by which request; the system when nobody did. */
export type Cause = Pick<Call, 'requestId'> & {
  readonly viewer: { readonly orgId: string; readonly userId: string | null };
};

/**
 * The facts of one change, in their order: the change itself, then what others care for, all of the same version.
 * `before` is null for a new task; `after.deletedAt` makes it a deletion.
 */
export function factsOf(call: Cause, before: TaskRow | null, after: TaskRow): OwnFact[] {
  const withDescription = before?.description !== after.description;
  const was = before && imageOf(before, { withDescription });
  const is = imageOf(after, { withDescription });
  const { viewer, requestId } = call;
  const common = { orgId: viewer.orgId, aggregate: after, actor: viewer, requestId, after: is };
  if (was === null) {
    const created = makeFact({ ...common, type: 'task.created', before: null });
    if (after.assigneeId === null) return [created];
    return [created, makeFact({ ...common, type: 'task.assigned', before: null })];
  }
  if (after.deletedAt !== null) return [makeFact({ ...common, type: 'task.deleted', before: was })];
  const facts: OwnFact[] = [makeFact({ ...common, type: 'task.updated', before: was })];
  if (after.assigneeId !== null && after.assigneeId !== was.assigneeId) {
    facts.push(makeFact({ ...common, type: 'task.assigned', before: was }));
  }
  if (after.status !== was.status) {
    facts.push(makeFact({ ...common, type: 'task.status-changed', before: was }));
  }
  return facts;
}
