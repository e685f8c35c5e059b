import type { FactOf } from '@taskflow/schema/events';
import type { UserTx } from '../data/store.ts';

/** The name by which a person knows an organisation of theirs, also from within another. */
export async function onOrganizationUpdated(tx: UserTx, fact: FactOf<'organization.updated'>): Promise<void> {
  await tx.organizations.note({ name: fact.after.name, version: fact.aggregate.version });
}
