import { forgetPerson } from '@taskflow/kit/forgetting';
import { type FactOf, makeFact } from '@taskflow/schema/events';
import type { OrgTx } from '../data/store.ts';

/** Name and address in the projection went with the member.updated before; stays in teams stay, of nobody. */
export async function onMemberErased(tx: OrgTx, fact: FactOf<'member.erased'>): Promise<void> {
  const { orgId, requestId, aggregate } = fact;
  const userId = fact.after.id;
  await forgetPerson(tx.sql, { orgId, userId, address: null, name: null });
  await tx.appendFacts(
    makeFact({
      type: 'org-traces.erased',
      ...{ orgId, requestId, aggregate: { id: userId, version: aggregate.version }, actor: { userId: null } },
      before: null,
      after: { userId },
    }),
  );
}
