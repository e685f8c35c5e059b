import type { FactOf } from '@taskflow/schema/events';
import type { TaskTx } from '../data/store.ts';
import { notePlan } from '../domain/usage.ts';

export async function onPlanChanged(tx: TaskTx, fact: FactOf<'plan.changed'>): Promise<void> {
  await notePlan(tx, fact);
}
