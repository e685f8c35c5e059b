import type { FactOf } from '@taskflow/schema/events';
import type { PlanNews } from '../data/plan-news.ts';
import type { UserTx } from '../data/store.ts';
import { notePlan } from '../domain/plans.ts';

export const onPlanChanged =
  (news: PlanNews) =>
  async (tx: UserTx, fact: FactOf<'plan.changed'>): Promise<void> => {
    await notePlan(tx, news, fact);
  };
