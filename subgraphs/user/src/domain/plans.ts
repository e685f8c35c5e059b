import type { PlanClaim } from '@taskflow/kit/identity';
import type { FactOf, PlanImage } from '@taskflow/schema/events';
import type { PlanNews } from '../data/plan-news.ts';
import type { UserTx } from '../data/store.ts';

export const MEMBERS = {
  things: 'members',
  advice: 'An ORG_ADMIN can remove members who have left, and a larger plan has room for more.',
};

/** What a plan says to this service: how many members there may be, and what stands in access tokens. */
export async function notePlan(tx: UserTx, news: PlanNews, fact: FactOf<'plan.changed'>): Promise<void> {
  const { name, startsAt, endsAt, limits, otherwise } = fact.after;
  const { version } = fact.aggregate;
  await tx.quota.note({
    ...{ plan: name, startsAt, endsAt, version },
    ...{ limit: limits.members, otherwise: otherwise.members },
  });
  const claim = claimOf(fact.after, version);
  // Not awaited: the plan is org's and committed there, so that it is no news of ours that a rollback would make untrue.
  if (await tx.plans.note(claim)) void news.tell(fact.orgId, claim);
}

function claimOf({ name, startsAt, endsAt, limits, otherwise }: PlanImage, version: number): PlanClaim {
  return {
    ...{ name, from: Date.parse(startsAt), until: endsAt === null ? null : Date.parse(endsAt) },
    ...{ calls: limits.apiCalls, otherwise: otherwise.apiCalls, version },
  };
}
