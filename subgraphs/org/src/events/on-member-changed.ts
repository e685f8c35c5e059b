import type { FactOf } from '@taskflow/schema/events';
import type { OrgTx } from '../data/store.ts';
import { leaveAllTeams } from '../domain/team-members.ts';

export async function onMemberChanged(
  tx: OrgTx,
  fact: FactOf<'member.joined' | 'member.updated'>,
): Promise<void> {
  const isNews = await tx.members.note({ ...fact.after, version: fact.aggregate.version });
  if (isNews && fact.after.status === 'REMOVED') await leaveAllTeams(tx, fact.after.id, fact);
}
