import type { FactOf } from '@taskflow/schema/events';
import type { TaskTx } from '../data/store.ts';
import { noteSettings } from '../domain/projections.ts';

export async function onOrganizationUpdated(tx: TaskTx, fact: FactOf<'organization.updated'>): Promise<void> {
  await noteSettings(tx, fact);
}
