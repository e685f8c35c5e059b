import type { FactOf } from '@taskflow/schema/events';
import type { TaskTx } from '../data/store.ts';
import { answerDataExport } from '../domain/personal-data.ts';

export async function onDataExportRequested(
  tx: TaskTx,
  fact: FactOf<'data-export.requested'>,
): Promise<void> {
  await answerDataExport(tx, fact);
}
