import { auditOriginOf, entryOf } from '@taskflow/kit/audit';
import { type Call, type Changed, changeOnce } from '@taskflow/kit/call';
import { requireVersion } from '@taskflow/kit/changes';
import { isUuid } from '@taskflow/kit/filter';
import { syncIdOf } from '@taskflow/kit/outbox';
import type { Cursors } from '@taskflow/kit/page';
import { v7 as uuidv7 } from 'uuid';
import type { TaskStore, TaskTx } from '../data/store.ts';
import type { TaskRow, TaskValues } from '../data/tasks.ts';
import { findReferences } from './references.ts';
import { badInput, forbidden, notFound } from './refusals.ts';
import { FIELD_NAMES, factsOf } from './task-facts.ts';
import {
  changeOf,
  newIdOf,
  type TaskCreate,
  type TaskDelete,
  type TaskUpdate,
  valuesOfNew,
} from './task-input.ts';
import { createTaskLists } from './task-lists.ts';
import { canCreate, canDelete, canUpdate, type PolicySubject, type Sight, visibleTo } from './task-policy.ts';
import { TASKS } from './usage.ts';

/** What the keys of tasks without a project start with; org keeps projects from having it. */
const KEY_PREFIX_WITHOUT_PROJECT = 'TASK';

export type Tasks = ReturnType<typeof createTasks>;

/**
 * Use cases of tasks. Each change is one transaction: the row locked, the row written, its facts appended last.
 * References are waited for before it begins, so that nothing is held meanwhile.
 */
export function createTasks(store: TaskStore, deps: { cursors: Cursors }) {
  const lists = createTaskLists(store, deps);

  async function reload(call: Call, id: string, options = {}): Promise<TaskRow | null> {
    const [row] = await lists.findMany(call.viewer, [id], options);
    return row ?? null;
  }

  return {
    ...lists,

    async create(call: Call, input: TaskCreate): Promise<Changed<TaskRow>> {
      const { viewer } = call;
      if (!canCreate(viewer)) throw forbidden('A guest may not make tasks.');
      const values = valuesOfNew(input);
      const id = input.id == null ? uuidv7() : newIdOf(input.id);
      const references = await findReferences(store, viewer, input);
      return changeOnce(
        ...([call, input, store.transaction] as const),
        async (tx) => {
          references.require();
          const { project, projectId = null, assigneeId = null } = references;
          const prefix = project?.key ?? KEY_PREFIX_WITHOUT_PROJECT;
          const row = await tx.tasks.insert({
            ...{ id, prefix, creatorId: viewer.userId },
            ...{ ...values, projectId, assigneeId },
          });
          // One answer whosever task it is. In another organisation the id is simply free.
          if (!row) throw badInput('id', 'This id cannot be used. Make a new one.');
          const syncId = await tell(tx, call, null, row);
          await tx.quota.take(TASKS);
          return { row, syncId };
        },
        (existingId) => reload(call, existingId),
      );
    },

    async update(call: Call, input: TaskUpdate): Promise<Changed<TaskRow>> {
      const { viewer } = call;
      const change = changeOf(input);
      const references = await findReferences(store, viewer, input);
      const sight = await lists.sightOf(viewer);
      return changeOnce(
        ...([call, input, store.transaction] as const),
        async (tx) => {
          const before = await lock(tx, sight, input, canUpdate, 'You may see this task but not change it.');
          references.require(before);
          const { projectId = before.projectId, assigneeId = before.assigneeId } = references;
          const values: TaskValues = { ...change(before), projectId, assigneeId };
          if (isSame(before, values)) return { row: before, syncId: null };
          const row = await tx.tasks.update(before.id, values);
          return { row, syncId: await tell(tx, call, before, row) };
        },
        (id) => reload(call, id),
      );
    },

    async delete(call: Call, input: TaskDelete): Promise<Changed<TaskRow>> {
      const sight = await lists.sightOf(call.viewer);
      return changeOnce(
        ...([call, input, store.transaction] as const),
        async (tx) => {
          const before = await lock(tx, sight, input, canDelete, 'You may see this task but not delete it.');
          const row = await tx.tasks.markDeleted(before.id);
          const syncId = await tell(tx, call, before, row);
          await tx.quota.release();
          return { row, syncId };
        },
        (id) => reload(call, id, { includeDeleted: true }),
      );
    },
  };
}

/** The locked row: NOT_FOUND unless it is visible, FORBIDDEN unless `may`, CONFLICT unless it has the expected version. */
async function lock(
  tx: TaskTx,
  sight: Sight,
  { id, expectedVersion }: TaskDelete,
  may: (sight: Sight, task: PolicySubject) => boolean,
  refusal: string,
): Promise<TaskRow> {
  const row = isUuid(id) ? await tx.tasks.lock(id, visibleTo(sight.viewer)) : null;
  if (!row) throw notFound('The task', 'id');
  if (!may(sight, row)) throw forbidden(refusal);
  const { orgId } = sight.viewer;
  await requireVersion(tx.sql, { orgId, typename: 'Task', row, expectedVersion, names: FIELD_NAMES });
  return row;
}

async function tell(tx: TaskTx, call: Call, before: TaskRow | null, after: TaskRow): Promise<string> {
  const facts = factsOf(call, before, after);
  await tx.appendFacts(...facts);
  const [change] = facts;
  if (!change) throw new Error('a change of a task makes at least one fact');
  await tx.audit(auditOriginOf(call), entryOf(change));
  return syncIdOf(change);
}

function isSame(row: TaskRow, values: TaskValues): boolean {
  const present: Partial<Record<string, unknown>> = { ...row };
  return Object.entries(values).every(
    ([name, value]) => JSON.stringify(value) === JSON.stringify(present[name]),
  );
}
