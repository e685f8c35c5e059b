import type { FactOf } from '@taskflow/schema/events';
import type { TaskTx } from '../data/store.ts';
import { noteProject } from '../domain/projections.ts';

export async function onProjectChanged(
  tx: TaskTx,
  fact: FactOf<'project.created' | 'project.updated'>,
): Promise<void> {
  await noteProject(tx, fact);
}
