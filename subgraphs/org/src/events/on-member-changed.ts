import type { FactOf } from '@taskflow/schema/events';
import type { OrgTx } from '../data/store.ts';

export async function onMemberChanged(
  tx: OrgTx,
  fact: FactOf<'member.joined' | 'member.updated'>,
): Promise<void> {
  await tx.members.note({ ...fact.after, version: fact.aggregate.version });
}
