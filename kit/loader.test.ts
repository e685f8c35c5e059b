import { expect, it } from 'vitest';
import { byKey, createLoader, groupByKey } from './loader.ts';

const rows = [
  { id: 'b', team: 2 },
  { id: 'a', team: 1 },
  { id: 'c', team: 1 },
];

it('byKey answers in the order of the keys, null where no row is', () => {
  expect(byKey(['a', 'x', 'b', 'a'], rows, (row) => row.id)).toEqual([rows[1], null, rows[0], rows[1]]);
});

it('groupByKey keeps the order of the rows within a key, and an empty list where none is', () => {
  expect(groupByKey([1, 9, 2], rows, (row) => row.team)).toEqual([[rows[1], rows[2]], [], [rows[0]]]);
});

it('a loader asks once a tick, for distinct keys, in batches of at most 500', async () => {
  const batches: number[] = [];
  const loader = createLoader<number, number | null>(async (keys) => {
    batches.push(keys.length);
    return byKey(keys, keys, (key) => key);
  });
  const keys = Array.from({ length: 1200 }, (_, index) => index % 1100);
  expect(await loader.loadMany(keys)).toEqual(keys);
  expect(batches).toEqual([500, 500, 100]);
});
