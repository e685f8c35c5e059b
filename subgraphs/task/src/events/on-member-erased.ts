import { forgetPerson } from '@taskflow/kit/forgetting';
import { type FactOf, makeFact } from '@taskflow/schema/events';
import type { TaskTx } from '../data/store.ts';
import { unassignAll } from '../domain/unassigning.ts';

/** Their tasks and the history stay; nobody is assigned to what was theirs. */
export async function onMemberErased(tx: TaskTx, fact: FactOf<'member.erased'>): Promise<void> {
  const { orgId, requestId, aggregate } = fact;
  const userId = fact.after.id;
  await unassignAll(tx, userId, fact);
  await forgetPerson(tx.sql, { orgId, userId, address: null, name: null });
  await tx.appendFacts(
    makeFact({
      type: 'task-traces.erased',
      ...{ orgId, requestId, aggregate: { id: userId, version: aggregate.version }, actor: { userId: null } },
      before: null,
      after: { userId },
    }),
  );
}
