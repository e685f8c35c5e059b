import { Writable } from 'node:stream';
import { aRedis, startOwnRedis } from '@taskflow/tests/kit/redis';
import { expect, onTestFinished, test, vi } from 'vitest';
import { partitionOf, WORK_PARTITIONS } from './keys.ts';
import { createLog } from './log.ts';
import { createRedis } from './redis.ts';

const server = await aRedis();

test('two connections with different prefixes do not share a key or a channel', async () => {
  const [one, two] = [await server.connect(), await (await aRedis()).connect()];
  expect(one.keys.workStream('task', 1)).toContain(one.prefix);
  expect(one.keys.workStream('task', 1)).not.toBe(two.keys.workStream('task', 1));
  expect(one.keys.liveChannel('task', 'o')).not.toBe(two.keys.liveChannel('task', 'o'));
});

test('an aggregate belongs to one partition for ever', () => {
  // Pinned: another value would send the facts in flight and the next ones to different partitions.
  expect(partitionOf('018f0000-0000-7000-8000-000000000001', '018f0000-0000-7000-8000-000000000002')).toBe(2);
  const used = new Set(Array.from({ length: 200 }, (_, i) => partitionOf('org', `aggregate-${i}`)));
  expect(used.size).toBe(WORK_PARTITIONS);
});

test('commands fail at once while Redis is away, and a lost connection is logged once, not per attempt', async () => {
  const own = await startOwnRedis();
  const lines: string[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines.push(chunk.toString());
      done();
    },
  });
  const redis = createRedis({ url: own.url, log: createLog({ process: 'test', destination }) });
  onTestFinished(() => redis.close());
  await redis.whenReady();
  await own.kill();
  await vi.waitUntil(() => redis.status() === 'down', { timeout: 5_000 });
  const asked = performance.now();
  await expect(redis.commands.get('x')).rejects.toThrow();
  expect(performance.now() - asked).toBeLessThan(100);
  let attempts = 0;
  redis.commands.on('reconnecting', () => {
    attempts += 1;
  });
  await vi.waitUntil(() => attempts >= 4, { timeout: 15_000 });
  const lost = lines.filter((line) => line.includes('connection lost') && line.includes('"commands"'));
  expect(lost).toHaveLength(1);
  await own.restart();
  await redis.whenReady();
  expect(await redis.commands.ping()).toBe('PONG');
  expect(lines.filter((line) => line.includes('is back') && line.includes('"commands"'))).toHaveLength(1);
});

test('a Redis that stops answering is given up within the command timeout and found again', async () => {
  const own = await startOwnRedis();
  const redis = await own.connect();
  own.freeze();
  await expect(redis.commands.get('x')).rejects.toThrow('timed out');
  own.resume();
  await vi.waitUntil(
    () =>
      redis.commands.ping().then(
        () => true,
        () => false,
      ),
    { timeout: 10_000 },
  );
});

test('closing while Redis is away rejects what waits and does not hang', async () => {
  const own = await startOwnRedis();
  const redis = await own.connect();
  const reader = redis.blocking('reader');
  const waiting = reader
    .xread('BLOCK', 1_000, 'STREAMS', 'nothing', '$')
    .catch((error: Error) => error.message);
  await vi.waitUntil(() => reader.status === 'ready', { timeout: 5_000 });
  await own.kill();
  await vi.waitUntil(() => reader.status === 'reconnecting', { timeout: 5_000 });
  await redis.close();
  expect(await waiting).toMatch(/Connection is closed/);
});
