import type { FactOf } from '@taskflow/schema/events';
import type { TaskTx } from '../data/store.ts';
import { noteTeam } from '../domain/projections.ts';

export async function onTeamChanged(
  tx: TaskTx,
  fact: FactOf<'team.created' | 'team.updated'>,
): Promise<void> {
  await noteTeam(tx, fact);
}
