import type { FactOf } from '@taskflow/schema/events';
import type { UserTx } from '../data/store.ts';

/** The name by which a person knows an organisation of theirs, also from within another. */
export async function onOrganizationUpdated(tx: UserTx, fact: FactOf<'organization.updated'>): Promise<void> {
  const { name, status } = fact.after;
  await tx.organizations.note({ name, isSuspended: status === 'SUSPENDED', version: fact.aggregate.version });
}
