import { expect, it } from 'vitest';
import { backOff } from './mail-sender.ts';

it('waits 5 s after the first attempt, twice as long after each further one, and never more than half an hour', () => {
  const longest = () => 0;
  expect([1, 2, 3, 9, 10, 11, 100].map((attempts) => backOff(attempts, longest) / 1_000)).toEqual([
    5, 10, 20, 1_280, 1_800, 1_800, 1_800,
  ]);
});

it('comes back up to a half earlier, so that mails that failed together do not come back together', () => {
  const nearlyOne = () => 1 - Number.EPSILON;
  expect(backOff(1, nearlyOne)).toBe(2_500);
  expect(backOff(100, nearlyOne)).toBe(900_000);
  const waits = new Set(Array.from({ length: 50 }, () => backOff(20)));
  expect(waits.size).toBeGreaterThan(40);
});
