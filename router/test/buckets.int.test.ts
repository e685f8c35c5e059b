import { createLog } from '@taskflow/kit/log';
import type { RedisConnections } from '@taskflow/kit/redis';
import { aRedis, startOwnRedis } from '@taskflow/tests/kit/redis';
import { until } from '@taskflow/tests/kit/until';
import { expect, it, onTestFinished } from 'vitest';
import { type Bucket, type Buckets, createBuckets } from '../src/cost/buckets.ts';

const server = await aRedis();
const log = createLog({ process: 'test', level: 'silent' });
/** So slow that nothing flows in during a test. */
const SLOW = 0.001;
let made = 0;

function aBucket(capacity: number, pointsPerS = SLOW, name = 'viewer'): Bucket {
  return { name, key: `${server.prefix}{org}:${made++}`, limit: { pointsPerS, capacity } };
}

/** The buckets of one replica. */
async function aReplica(redis?: RedisConnections): Promise<Buckets & { asked(): number }> {
  const connections = redis ?? (await server.connect());
  const buckets = createBuckets({ redis: connections, log });
  let asked = 0;
  const commands = connections.commands as unknown as Record<string, (...args: unknown[]) => unknown>;
  const take = commands.takePoints?.bind(connections.commands);
  commands.takePoints = (...args) => {
    asked++;
    return take?.(...args);
  };
  buckets.start();
  onTestFinished(() => buckets.stop());
  return { ...buckets, asked: () => asked };
}

async function takenBy(replica: Buckets, buckets: Bucket[], points: number, times: number): Promise<number> {
  let admitted = 0;
  for (let n = 0; n < times; n++) if ((await replica.take(buckets, points)).isAdmitted) admitted++;
  return admitted;
}

it('are shared by replicas: what one has taken, the other has not', async () => {
  const [one, other] = [await aReplica(), await aReplica()];
  const bucket = aBucket(100);
  expect(await takenBy(one, [bucket], 40, 3)).toBe(2);
  const { isAdmitted, retryAfterMs, refusedBy } = await other.take([bucket], 21);
  expect([isAdmitted, refusedBy?.name]).toEqual([false, 'viewer']);
  expect(retryAfterMs).toBeGreaterThan(0);
  expect(await takenBy(other, [bucket], 20, 2)).toBe(1);
});

it('lose no point over many operations at once, but for the half that a replica may take before it tells', async () => {
  const replicas = [await aReplica(), await aReplica(), await aReplica()];
  const bucket = aBucket(1_000);
  const admitted = await Promise.all(replicas.map((replica) => takenBy(replica, [bucket], 1, 2_000)));
  const total = admitted.reduce((sum, n) => sum + n, 0);
  expect(total).toBeGreaterThanOrEqual(1_000);
  expect(total).toBeLessThanOrEqual(1_000 + 2 * 500);
  for (const replica of replicas) expect((await replica.take([bucket], 1)).isAdmitted).toBe(false);
});

it('ask Redis once for an operation at most, and rarely while there is plenty', async () => {
  const replica = await aReplica();
  const [own, all] = [aBucket(10_000), aBucket(100_000)];
  await takenBy(replica, [own, all], 1, 1_000);
  expect(replica.asked()).toBeLessThan(1_000 / 5);
  const before = replica.asked();
  await replica.take([aBucket(10), aBucket(10)], 1);
  expect(replica.asked() - before).toBeLessThanOrEqual(3); // the one, and two buckets that were told meanwhile
});

it('are taken from together, or not at all', async () => {
  const replica = await aReplica();
  const [own, all] = [aBucket(100), aBucket(10, SLOW, 'organization')];
  expect((await replica.take([own, all], 20)).isAdmitted).toBe(true); // larger than a bucket: a full one admits it
  const refused = await replica.take([own, all], 1);
  expect([refused.isAdmitted, refused.refusedBy?.name]).toEqual([false, 'organization']);
  expect(await takenBy(replica, [own], 80, 1)).toBe(1);
});

it('take back what an answer has not cost', async () => {
  const [one, other] = [await aReplica(), await aReplica()];
  const bucket = aBucket(100);
  await one.take([bucket], 100);
  expect((await other.take([bucket], 50)).isAdmitted).toBe(false);
  one.give([bucket], 90);
  await until('the points to be there again', async () => (await other.take([bucket], 90)).isAdmitted);
  expect((await other.take([bucket], 10)).isAdmitted).toBe(false);
});

it('fill at their rate, by the clock of Redis', async () => {
  const replica = await aReplica();
  const bucket = aBucket(10, 100);
  await replica.take([bucket], 10);
  const { isAdmitted, retryAfterMs } = await replica.take([bucket], 10);
  expect([isAdmitted, retryAfterMs > 0 && retryAfterMs <= 100]).toEqual([false, true]);
  await until('the bucket to be full', async () => (await replica.take([bucket], 10)).isAdmitted);
});

it('leave no key behind that is full again', async () => {
  const connections = await server.connect();
  const replica = await aReplica(connections);
  const bucket = aBucket(10, 10);
  await replica.take([bucket], 10);
  const ttl = await connections.commands.pttl(bucket.key);
  expect(ttl).toBeGreaterThan(1_000);
  expect(ttl).toBeLessThanOrEqual(2_000);
});

it('are those of each process while Redis is dead, by the same numbers, and told when it is back', async () => {
  const own = await startOwnRedis();
  const connections = await own.connect();
  const [one, other] = [await aReplica(connections), await aReplica(await own.connect())];
  const [known, unknown] = [aBucket(100), aBucket(100)];
  await one.take([known], 60);
  await own.kill();
  await until('the loss to be noticed', () => connections.status() === 'down');
  expect(await takenBy(one, [known], 10, 10)).toBe(4);
  expect(await takenBy(one, [unknown], 10, 20)).toBe(10);
  expect(await takenBy(other, [unknown], 10, 20)).toBe(10);
  await own.restart({ empty: true });
  await connections.whenReady();
  await until('the other replica to know', async () => !(await other.take([known], 10)).isAdmitted);
});

it('hold up nobody for long while Redis hangs', async () => {
  const own = await startOwnRedis();
  const replica = await aReplica(await own.connect());
  const bucket = aBucket(100);
  await replica.take([bucket], 1);
  own.freeze();
  onTestFinished(() => own.resume());
  expect(await takenBy(replica, [bucket], 10, 50)).toBe(9);
  expect(replica.asked()).toBeLessThan(10);
});
