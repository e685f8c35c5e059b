import type { PlanLimits } from '@taskflow/schema/events';
import type { LimitsOfPlans, PlanName } from '../data/plans.ts';

type Things = 'MEMBERS' | 'PROJECTS' | 'TASKS' | 'API_CALLS';

/** Of the configuration, what plans allow; 0 is no limit. */
export type PlanNumbers = Readonly<Record<`ORG_PLAN_${PlanName}_${Things}_MAX`, number>>;

/** What each plan allows; null is no limit. */
export function limitsOfPlans(numbers: PlanNumbers): LimitsOfPlans {
  const limitsOf = (plan: PlanName): PlanLimits => ({
    members: numbers[`ORG_PLAN_${plan}_MEMBERS_MAX`] || null,
    projects: numbers[`ORG_PLAN_${plan}_PROJECTS_MAX`] || null,
    tasks: numbers[`ORG_PLAN_${plan}_TASKS_MAX`] || null,
    apiCalls: numbers[`ORG_PLAN_${plan}_API_CALLS_MAX`] || null,
  });
  return { FREE: limitsOf('FREE'), TEAM: limitsOf('TEAM'), BUSINESS: limitsOf('BUSINESS') };
}
