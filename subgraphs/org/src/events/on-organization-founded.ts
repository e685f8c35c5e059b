import type { FactOf } from '@taskflow/schema/events';
import type { OrgTx } from '../data/store.ts';
import { slugOf } from '../domain/organizations.ts';

export async function onOrganizationFounded(tx: OrgTx, fact: FactOf<'organization.founded'>): Promise<void> {
  const { name, founderId } = fact.after;
  await tx.organizations.found({
    name,
    slug: slugOf(name, fact.orgId),
    founderId,
    foundedAt: fact.occurredAt,
  });
}
