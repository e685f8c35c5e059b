import type { Viewer } from '@taskflow/kit/identity';
import type { Quota } from '@taskflow/kit/quota';
import type { PlanRow } from '../data/plans.ts';
import type { OrgStore } from '../data/store.ts';
import { canSeeUsage } from './org-policy.ts';
import type { Plans } from './plans.ts';

export type Usage = ReturnType<typeof createUsage>;

/** How much of what its plan allows an organisation uses, as far as this service counts it. */
export function createUsage(store: OrgStore, { plans }: { plans: Plans }) {
  return {
    projects: async (viewer: Viewer): Promise<Quota | null> =>
      canSeeUsage(viewer) ? store.usage.projects(viewer) : null,

    async apiCalls(viewer: Viewer): Promise<Pick<Quota, 'used' | 'limit'> | null> {
      if (!canSeeUsage(viewer)) return null;
      const [used, plan] = await Promise.all([store.usage.apiCalls(viewer), plans.getOwn(viewer)]);
      return { used, limit: apiCallsLimitOf(plan, new Date()) };
    },
  };
}

/**
 * How many calls the month of `now` has. The month in which a contract ends keeps what the contract allowed, so that its end
 * refuses nobody who reads; the router knows the same rule (router/src/plans.ts).
 */
export function apiCallsLimitOf(plan: PlanRow, now: Date): number | null {
  const contracted = plan.limits?.apiCalls ?? null;
  const otherwise = plan.otherwise?.apiCalls ?? null;
  if (plan.isInForce) return contracted;
  const monthStartsAt = Date.UTC(now.getUTCFullYear(), now.getUTCMonth());
  const endedThisMonth = plan.isOver && plan.endsAt !== null && plan.endsAt.getTime() >= monthStartsAt;
  if (!endedThisMonth) return otherwise;
  return contracted === null || otherwise === null ? null : Math.max(contracted, otherwise);
}
