/**
 * Batching within one request. The two functions fix result order and missing keys once; a loader lives for one
 * request (or one subscription event), so that its cache never crosses a tenant or grows stale.
 */
import DataLoader from 'dataloader';

/** One row per key, in the order of the keys; null where no row has that key. */
export function byKey<K, R>(keys: readonly K[], rows: readonly R[], keyOf: (row: R) => K): (R | null)[] {
  const found = new Map(rows.map((row) => [keyOf(row), row]));
  return keys.map((key) => found.get(key) ?? null);
}

/** All rows of each key, in the order of the keys and within a key in the order of the rows; [] where none. */
export function groupByKey<K, R>(keys: readonly K[], rows: readonly R[], keyOf: (row: R) => K): R[][] {
  const groups = Map.groupBy(rows, keyOf);
  return keys.map((key) => groups.get(key) ?? []);
}

/** One SQL statement stays well below the protocol's 65,535 parameters and its plan stays an index scan. */
const BATCH_SIZE_MAX = 500;

/**
 * A DataLoader that asks in batches of at most 500 distinct keys. `batch` answers in the order of its keys, a
 * missing row being null (absent and invisible alike). Make one per request.
 */
export function createLoader<K, R>(
  batch: (keys: readonly K[]) => Promise<readonly (R | Error)[]>,
): DataLoader<K, R> {
  return new DataLoader<K, R>(batch, { maxBatchSize: BATCH_SIZE_MAX });
}
