/**
 * An operator suspends an organisation, and lets it work again. Its people are signed out by the user service, which consumes
 * the fact: tokens are refused at once, and signing in until it is reinstated. Nothing else changes, so that all is as it was.
 */
import { entryOf } from '@taskflow/kit/audit';
import { makeFact } from '@taskflow/schema/events';
import { v7 as uuidv7 } from 'uuid';
import type { OrganizationRow, OrganizationStatus } from '../data/organizations.ts';
import type { OrgStore } from '../data/store.ts';
import { findOne } from './find-one.ts';
import { imageOf } from './organizations.ts';

type Store = Pick<OrgStore, 'transaction' | 'organizations'>;

/** Null when it had this status already. Throws for a reference that is not exactly one organisation's. Safe to call twice. */
export async function setStatus(
  store: Store,
  reference: string,
  status: OrganizationStatus,
): Promise<OrganizationRow | null> {
  const orgId = await findOne(store, reference);
  const requestId = `operator-${uuidv7()}`;
  return store.transaction({ orgId, requestId }, async (tx) => {
    const before = await tx.organizations.lock();
    if (!before || before.status === status) return null;
    const row = await tx.organizations.setStatus(status);
    const fact = makeFact({
      type: status === 'SUSPENDED' ? 'organization.suspended' : 'organization.reinstated',
      ...{ orgId, aggregate: row, actor: { userId: null }, requestId },
      ...{ before: imageOf(before), after: imageOf(row) },
    });
    await tx.appendFacts(fact);
    await tx.audit({ actorId: null, requestId, address: null, userAgent: null }, entryOf(fact));
    return row;
  });
}
