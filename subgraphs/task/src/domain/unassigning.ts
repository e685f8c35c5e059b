import type { Envelope } from '@taskflow/schema/events';
import type { TaskTx } from '../data/store.ts';
import { factsOf } from './task-facts.ts';

/** Takes a person off all their tasks, deleted ones included, with the facts of any other change: boards follow. */
export async function unassignAll(tx: TaskTx, userId: string, cause: Envelope): Promise<void> {
  const { orgId, requestId } = cause;
  for (const before of await tx.tasks.lockAssignedTo(userId)) {
    const after = await tx.tasks.unassign(before.id);
    const system = { viewer: { orgId, userId: null }, requestId };
    if (before.deletedAt === null) await tx.appendFacts(...factsOf(system, before, after));
    await tx.audit(
      { actorId: null, requestId, address: null, userAgent: null },
      {
        ...{ action: 'task.updated', target: { type: 'task', id: before.id } },
        ...{ before: { assigneeId: 'erased' }, after: { assigneeId: null } },
      },
    );
  }
}
