/**
 * A count in Redis to which several processes add, each what it has counted itself.
 *
 *   hash  { <counter>: what this process has counted in all, …, '=': the sum of them }
 *
 * A process tells its own number from the beginning, never a difference: told twice, or told again because nobody knows
 * whether it arrived, it changes nothing. A Redis that lost its data is told again as well, by those who still count, and
 * by whoever has kept the numbers of those who do not (`restore`). So nothing is lost and nothing counts double.
 */
import type { ChainableCommander, Redis } from 'ioredis';

/** The member that holds the sum; no name of a counter looks like it. */
const SUM = '=';

/**
 * KEYS: the hash. ARGV: counter, counted so far, wanted beyond that, limit of the sum ('' is none), milliseconds to live.
 * Answers how many of those wanted fit under the limit and are counted now, and the sum.
 */
const COUNT = `
  local known = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0')
  local counted = math.max(known, tonumber(ARGV[2]))
  local sum = redis.call('HINCRBY', KEYS[1], '${SUM}', string.format('%d', counted - known))
  local granted = tonumber(ARGV[3])
  if ARGV[4] ~= '' then granted = math.max(0, math.min(granted, tonumber(ARGV[4]) - sum)) end
  if granted > 0 then
    counted = counted + granted
    sum = redis.call('HINCRBY', KEYS[1], '${SUM}', string.format('%d', granted))
  end
  if counted ~= known then redis.call('HSET', KEYS[1], ARGV[1], string.format('%d', counted)) end
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
  return { granted, sum }`;

export interface Told {
  /** What this counter has counted in all, as far as it was granted. */
  readonly counted: number;
  /** How many more it would like to count. */
  readonly wanted: number;
  /** What the sum must not exceed by those that are wanted; null is no limit. */
  readonly limit: number | null;
}

export interface Answered {
  /** How many of those wanted were counted. */
  readonly granted: number;
  /** Of all counters, these included. */
  readonly sum: number;
}

/** One command, alone or in a pipeline; its answer is read by `answerOf`. The key lives for `ttlMs` from now. */
export function tell(
  redis: Redis | ChainableCommander,
  key: string,
  counter: string,
  { counted, wanted, limit, ttlMs }: Told & { ttlMs: number },
) {
  return redis.eval(COUNT, 1, key, counter, counted, wanted, limit ?? '', ttlMs);
}

export function answerOf(answer: unknown): Answered {
  const [granted, sum] = answer as [number, number];
  return { granted: Number(granted), sum: Number(sum) };
}

/** The counters of a hash as HGETALL gives it, without the sum. */
export function countersOf(hash: Readonly<Record<string, string>>): { counter: string; counted: number }[] {
  return Object.entries(hash)
    .filter(([counter]) => counter !== SUM)
    .map(([counter, counted]) => ({ counter, counted: Number(counted) }));
}
