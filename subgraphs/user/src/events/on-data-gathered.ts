import type { UserTx } from '../data/store.ts';
import type { DataExports, Gathered } from '../domain/data-exports.ts';

export const onDataGathered =
  (dataExports: DataExports) =>
  async (tx: UserTx, fact: Gathered): Promise<void> => {
    await dataExports.collect(tx, fact);
  };
