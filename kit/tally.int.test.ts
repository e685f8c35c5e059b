import { randomUUID } from 'node:crypto';
import { aRedis } from '@taskflow/tests/kit/redis';
import { beforeEach, expect, test } from 'vitest';
import { answerOf, countersOf, type Told, tell } from './tally.ts';

const { commands, prefix } = await (await aRedis()).connect();
let key: string;
beforeEach(() => {
  key = `${prefix}tally:${randomUUID()}`;
});

const say = async (counter: string, told: Partial<Told>) =>
  answerOf(
    await tell(commands, key, counter, { counted: 0, wanted: 0, limit: null, ttlMs: 60_000, ...told }),
  );

test('a number that is told twice, or late, counts once', async () => {
  expect(await say('one', { counted: 5 })).toEqual({ granted: 0, sum: 5 });
  expect(await say('one', { counted: 5 })).toEqual({ granted: 0, sum: 5 });
  expect(await say('two', { counted: 3 })).toEqual({ granted: 0, sum: 8 });
  expect(await say('one', { counted: 4 })).toEqual({ granted: 0, sum: 8 });
  expect(countersOf(await commands.hgetall(key))).toEqual([
    { counter: 'one', counted: 5 },
    { counter: 'two', counted: 3 },
  ]);
});

test('of those wanted as many are granted as fit under the limit of the sum', async () => {
  await say('one', { counted: 90 });
  expect(await say('two', { wanted: 20, limit: 100 })).toEqual({ granted: 10, sum: 100 });
  expect(await say('one', { counted: 90, wanted: 1, limit: 100 })).toEqual({ granted: 0, sum: 100 });
  expect(await say('one', { counted: 90, wanted: 1, limit: 50 })).toEqual({ granted: 0, sum: 100 });
  expect(await say('one', { counted: 90, wanted: 7 })).toEqual({ granted: 7, sum: 107 });
});

test('an answer that was lost loses nothing and doubles nothing: the next telling says all of it', async () => {
  expect(await say('one', { counted: 2, wanted: 3, limit: 10 })).toEqual({ granted: 3, sum: 5 });
  // The teller never heard it, let the three pass and counted them itself.
  expect(await say('one', { counted: 5 })).toEqual({ granted: 0, sum: 5 });
});

test('of two hundred that want one at once where a hundred are left, a hundred get one', async () => {
  const answers = await Promise.all(
    Array.from({ length: 200 }, (_, n) => say(`counter-${n % 5}`, { wanted: 1, limit: 100 })),
  );
  expect(answers.reduce((sum, { granted }) => sum + granted, 0)).toBe(100);
  expect((await say('one', {})).sum).toBe(100);
});

test('lives no longer than it is told to', async () => {
  await say('one', { counted: 1 });
  expect(await commands.pttl(key)).toBeGreaterThan(50_000);
  expect(await commands.pttl(key)).toBeLessThanOrEqual(60_000);
});
