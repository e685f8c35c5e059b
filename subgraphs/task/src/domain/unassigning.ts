import { entryOf } from '@taskflow/kit/audit';
import type { Envelope } from '@taskflow/schema/events';
import type { TaskTx } from '../data/store.ts';
import { factsOf } from './task-facts.ts';

/** Takes a person off all their tasks, deleted ones included, with the facts of any other change: boards follow. */
export async function unassignAll(tx: TaskTx, userId: string, cause: Envelope): Promise<void> {
  const { orgId, requestId } = cause;
  for (const before of await tx.tasks.lockAssignedTo(userId)) {
    const after = await tx.tasks.unassign(before.id);
    const system = { viewer: { orgId, userId: null }, requestId };
    // Nobody sees a deleted one change.
    if (before.deletedAt !== null) continue;
    const facts = factsOf(system, before, after);
    await tx.appendFacts(...facts);
    for (const fact of facts) {
      await tx.audit({ actorId: null, requestId, address: null, userAgent: null }, entryOf(fact));
    }
  }
}
