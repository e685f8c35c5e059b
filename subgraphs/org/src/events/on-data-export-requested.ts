import type { FactOf } from '@taskflow/schema/events';
import type { OrgTx } from '../data/store.ts';
import { answerDataExport } from '../domain/personal-data.ts';

export async function onDataExportRequested(tx: OrgTx, fact: FactOf<'data-export.requested'>): Promise<void> {
  await answerDataExport(tx, fact);
}
