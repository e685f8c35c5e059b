import { expect, it } from 'vitest';
import type { Figures } from './load.ts';
import { ratiosOf, table } from './tables.ts';

const figures = (requestsPerSecond: number, p50Ms: number, cpuMs: number | null): Figures => ({
  ...{ name: 'one', requestsPerSecond, p50Ms, cpuMs },
  ...{ slowestRound: 1, fastestRound: 1, p99Ms: 10, requests: 1 },
});

it('says by how much the first is the multiple of the second', () => {
  expect(ratiosOf(figures(300, 2, 1), figures(100, 8, 4))).toEqual({
    requestsPerSecond: 3,
    p50Ms: 0.25,
    p99Ms: 1,
    cpuMs: 0.25,
  });
});

it('has no ratio of a figure that one of them lacks', () => {
  expect(ratiosOf(figures(1, 1, null), figures(1, 1, 4)).cpuMs).toBeNull();
  expect(() => ratiosOf(figures(1, 1, 1), undefined)).toThrow();
});

it('lays a table out as Markdown, with an empty cell for what a row does not have', () => {
  expect(table(['list', 'p50'], [['page 1', '2 ms'], ['x']])).toBe(
    ['| list   |  p50 |', '|--------|-----:|', '| page 1 | 2 ms |', '| x      |      |'].join('\n'),
  );
});
