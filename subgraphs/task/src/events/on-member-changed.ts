import type { FactOf } from '@taskflow/schema/events';
import type { TaskTx } from '../data/store.ts';
import { noteMember } from '../domain/projections.ts';

export async function onMemberChanged(
  tx: TaskTx,
  fact: FactOf<'member.joined' | 'member.updated'>,
): Promise<void> {
  await noteMember(tx, fact);
}
