import type { FactOf } from '@taskflow/schema/events';
import type { UserTx } from '../data/store.ts';

/** A service has forgotten; what follows when all have is the business of domain/erasures.ts. */
export async function onTracesErased(
  tx: UserTx,
  fact: FactOf<'org-traces.erased' | 'task-traces.erased' | 'notification-traces.erased'>,
): Promise<void> {
  await tx.erasures.noteDone(fact.after.userId, fact.source);
}
