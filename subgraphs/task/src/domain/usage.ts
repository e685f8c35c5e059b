import type { Viewer } from '@taskflow/kit/identity';
import type { Quota } from '@taskflow/kit/quota';
import type { FactOf } from '@taskflow/schema/events';
import type { TaskStore, TaskTx } from '../data/store.ts';
import { canSeeUsage } from './task-policy.ts';

export const TASKS = {
  things: 'tasks',
  advice: 'Delete tasks that nobody needs any more, or ask for a larger plan.',
};

export type Usage = ReturnType<typeof createUsage>;

/** How many tasks the viewer's organisation has and may have. */
export const createUsage = (store: TaskStore) => ({
  tasks: async (viewer: Viewer): Promise<Quota | null> =>
    canSeeUsage(viewer) ? store.usage.tasks(viewer) : null,
});

/** What a plan says to this service. */
export async function notePlan(tx: TaskTx, fact: FactOf<'plan.changed'>): Promise<void> {
  const { name, startsAt, endsAt, limits, otherwise } = fact.after;
  await tx.quota.note({
    ...{ plan: name, startsAt, endsAt, version: fact.aggregate.version },
    ...{ limit: limits.tasks, otherwise: otherwise.tasks },
  });
}
