import type { FactOf } from '@taskflow/schema/events';
import type { TaskTx } from '../data/store.ts';
import { noteTeamMember } from '../domain/projections.ts';

export async function onTeamMemberChanged(
  tx: TaskTx,
  fact: FactOf<'team.member-added' | 'team.member-removed'>,
): Promise<void> {
  await noteTeamMember(tx, fact);
}
