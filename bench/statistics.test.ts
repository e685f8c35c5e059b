import { expect, it } from 'vitest';
import { median, percentile } from './statistics.ts';

it('takes the middle of an odd number of values and the mean of the two middle ones of an even number', () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([9, 1, 5, 7])).toBe(6);
  expect(median([4])).toBe(4);
});

it('takes as percentile a value that was measured, and the largest one when there are few', () => {
  const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);
  expect(percentile(hundred, 0.5)).toBe(50);
  expect(percentile(hundred, 0.99)).toBe(99);
  expect(percentile([3, 1, 2], 0.99)).toBe(3);
  expect(percentile([3, 1, 2], 0)).toBe(1);
});

it('does not make a number out of nothing', () => {
  expect(() => median([])).toThrow();
  expect(() => percentile([], 0.5)).toThrow();
});
