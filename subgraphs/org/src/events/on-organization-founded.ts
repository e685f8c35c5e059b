import type { FactOf } from '@taskflow/schema/events';
import type { OrgTx } from '../data/store.ts';
import { slugOf } from '../domain/organizations.ts';
import type { Plans } from '../domain/plans.ts';

export const onOrganizationFounded =
  (plans: Plans) =>
  async (tx: OrgTx, fact: FactOf<'organization.founded'>): Promise<void> => {
    const { name, founderId } = fact.after;
    await tx.organizations.found({
      name,
      slug: slugOf(name, fact.orgId),
      founderId,
      foundedAt: fact.occurredAt,
    });
    await plans.begin(tx, { actorId: fact.actor.userId, requestId: fact.requestId });
  };
