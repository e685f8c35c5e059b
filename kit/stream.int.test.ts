import { randomUUID } from 'node:crypto';
import { createLog } from '@taskflow/kit/log';
import { aRedis, startOwnRedis } from '@taskflow/tests/kit/redis';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { partitionOf, WORK_FIELD } from './keys.ts';
import type { Fact } from './outbox.ts';
import type { RedisConnections } from './redis.ts';
import { type ConsumerOptions, createConsumer } from './stream.ts';
import { createLeases } from './stream-leases.ts';
import { openPartition } from './stream-partition.ts';

const server = await aRedis();
const redis = await server.connect();
const log = createLog({ process: 'test', level: 'silent' });
const until = (condition: () => boolean | Promise<boolean>) =>
  vi.waitUntil(condition, { timeout: 15_000, interval: 5 });

let source: string;
const orgId = randomUUID();

beforeEach(() => {
  source = `source-${randomUUID()}`;
});

function aFact(aggregateId: string, version: number): Fact {
  return {
    id: randomUUID(),
    source,
    type: 'task.updated',
    schemaVersion: 1,
    orgId,
    aggregate: { type: 'task', id: aggregateId, version },
    actor: { userId: null },
    requestId: 'test',
    traceparent: null,
    occurredAt: new Date().toISOString(),
    before: null,
    after: { version },
  } as Fact;
}

function add(fact: Fact, to: RedisConnections = redis) {
  const stream = to.keys.workStream(source, partitionOf(fact.orgId, fact.aggregate.id));
  return to.commands.xadd(stream, '*', WORK_FIELD, JSON.stringify(fact));
}

function aConsumer(options: Partial<ConsumerOptions> = {}) {
  const consumer = createConsumer({
    service: 'worker',
    sources: [source],
    redis,
    log,
    apply: async () => {},
    onExhausted: async () => {},
    timing: { retryAfterMs: () => 5 },
    ...options,
  });
  consumer.start();
  onTestFinished(() => consumer.stop());
  return consumer;
}

/** How many entries the group has delivered and not acknowledged, over all partitions. */
async function pendingCount(): Promise<number> {
  let count = 0;
  for (let partition = 0; partition < 8; partition++) {
    const summary = await redis.commands.xpending(redis.keys.workStream(source, partition), 'worker');
    count += Number(summary[0]);
  }
  return count;
}

test('facts of one aggregate are applied in the order in which they were published', async () => {
  const seen = new Map<string, number[]>();
  const aggregates = Array.from({ length: 20 }, () => randomUUID());
  for (const id of aggregates) await add(aFact(id, 1));
  aConsumer({
    apply: async (fact) => {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 3));
      seen.set(fact.aggregate.id, [...(seen.get(fact.aggregate.id) ?? []), fact.aggregate.version]);
    },
  });
  for (let version = 2; version <= 10; version++) {
    for (const id of aggregates) await add(aFact(id, version));
  }
  await until(() => [...seen.values()].flat().length === 200);
  for (const id of aggregates) expect(seen.get(id)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  await until(async () => (await pendingCount()) === 0);
});

test('a fact is applied within milliseconds of being added', async () => {
  const waits: number[] = [];
  const consumer = aConsumer({
    apply: async (fact) => {
      waits.push(performance.now() - Number((fact.after as { sentAt: number }).sentAt));
    },
  });
  await until(() => consumer.status().partitions.length === 8);
  for (let i = 1; i <= 100; i++) {
    await add({ ...aFact(randomUUID(), 1), after: { sentAt: performance.now() } });
    await until(() => waits.length === i);
  }
  waits.sort((a, b) => a - b);
  expect(waits[50]).toBeLessThan(20);
});

describe('a fact that fails', () => {
  test('is delivered five times, put aside, and then no longer holds up its partition', async () => {
    const [bad, good] = [aFact('one partition', 1), aFact('one partition', 2)];
    let attempts = 0;
    const applied: string[] = [];
    const exhausted: unknown[] = [];
    await add(bad);
    await add(good);
    aConsumer({
      apply: async (fact) => {
        if (fact.id !== bad.id) return void applied.push(fact.id);
        attempts += 1;
        throw new Error('does not compute');
      },
      onExhausted: async (fact, error, count) => {
        exhausted.push([fact?.id, (error as Error).message, count]);
      },
    });
    await until(() => applied.length === 1);
    expect(attempts).toBe(5);
    expect(exhausted).toEqual([[bad.id, 'does not compute', 5]]);
    await until(async () => (await pendingCount()) === 0);
  });

  test('keeps its count when the consumer is restarted', async () => {
    let attempts = 0;
    const exhausted: number[] = [];
    const options = {
      apply: async () => {
        attempts += 1;
        throw new Error('never');
      },
      onExhausted: async (_fact: unknown, _error: unknown, count: number) => {
        exhausted.push(count);
      },
    };
    await add(aFact(randomUUID(), 1));
    const first = aConsumer({ ...options, timing: { retryAfterMs: (n) => (n < 3 ? 1 : 60_000) } });
    await until(() => attempts === 3);
    await first.stop();
    aConsumer(options);
    await until(() => exhausted.length === 1);
    expect([attempts, exhausted]).toEqual([5, [5]]);
  });

  test('waits without being counted while the infrastructure is away', async () => {
    let attempts = 0;
    let exhausted = 0;
    await add(aFact(randomUUID(), 1));
    aConsumer({
      apply: async () => {
        attempts += 1;
        if (attempts <= 7) throw Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
      },
      onExhausted: async () => {
        exhausted += 1;
      },
    });
    await until(() => attempts === 8);
    await until(async () => (await pendingCount()) === 0);
    expect(exhausted).toBe(0);
  });

  test('stays in the stream until it could be put aside', async () => {
    let refusals = 0;
    const kept: unknown[] = [];
    await redis.commands.xadd(redis.keys.workStream(source, 3), '*', WORK_FIELD, '{ not a fact');
    aConsumer({
      onExhausted: async (fact, error, attempts, entry) => {
        if (++refusals < 3) throw new Error('no database');
        kept.push([fact, (error as Error).name, attempts, entry.text]);
      },
    });
    await until(() => kept.length === 1);
    expect(kept).toEqual([[null, 'UnreadableError', 1, '{ not a fact']]);
    await until(async () => (await pendingCount()) === 0);
  });
});

describe('leases', () => {
  test('what a dead consumer left pending is applied by another, once, before anything newer', async () => {
    const dead = await server.connect();
    let stuck = 0;
    const id = randomUUID();
    for (const version of [1, 2, 3]) await add(aFact(id, version));
    const victim = aConsumer({
      redis: dead,
      apply: () => {
        stuck += 1;
        return new Promise<never>((_, reject) => onTestFinished(() => reject(new Error('too late'))));
      },
    });
    await until(() => stuck === 1);
    expect(await pendingCount()).toBe(3);
    // As if killed: its connections are gone, it can neither renew nor acknowledge nor release.
    await dead.close();
    await add(aFact(id, 4));
    const versions: number[] = [];
    const died = performance.now();
    aConsumer({ apply: async (fact) => void versions.push(fact.aggregate.version) });
    await until(() => versions.length === 4);
    expect(versions).toEqual([1, 2, 3, 4]);
    expect(performance.now() - died).toBeLessThan(4_000);
    expect(victim.status().running).toBe(true);
  });

  test('partitions are shared between the consumers that are alive, and none is held twice', async () => {
    const [one, two] = [aConsumer(), aConsumer()];
    const sizes = () => [one, two].map((consumer) => consumer.status().partitions.length);
    await until(() => sizes().join() === '4,4');
    expect(new Set([...one.status().partitions, ...two.status().partitions]).size).toBe(8);
    await one.stop();
    await until(() => two.status().partitions.length === 8);
  });

  test('a holder whose lease has passed to somebody else can neither read nor acknowledge', async () => {
    const stream = redis.keys.workStream(source, 0);
    const lend = () =>
      createLeases({ service: 'fenced', partitions: [{ source, partition: 0 }], redis, leaseMs: 60_000 });
    const [lease] = await lend().renew('take');
    if (!lease) throw new Error('no lease');
    let release = () => {};
    const applied: string[] = [];
    const common = { stream, group: 'fenced', redis, log, retryAfterMs: () => 1, exhaust: async () => {} };
    const zombie = openPartition({
      ...common,
      lease,
      apply: (entry) => {
        applied.push(`zombie ${entry.text}`);
        return new Promise((resolve) => {
          release = resolve;
        });
      },
    });
    await redis.commands.xadd(stream, '*', WORK_FIELD, 'first');
    zombie.poke();
    await until(() => applied.length === 1);
    await redis.commands.del(lease.key);
    const [next] = await lend().renew('take');
    if (!next) throw new Error('no lease');
    await redis.commands.xadd(stream, '*', WORK_FIELD, 'second');
    release();
    await zombie.done;
    const heir = openPartition({
      ...common,
      lease: next,
      apply: async (e) => void applied.push(`heir ${e.text}`),
    });
    await until(() => applied.length === 3);
    expect(applied).toEqual(['zombie first', 'heir first', 'heir second']);
    await heir.stop();
  });
});

test('stopping while busy finishes and acknowledges the fact in hand and leaves the others', async () => {
  const id = randomUUID();
  for (const version of [1, 2, 3]) await add(aFact(id, version));
  let finish = () => {};
  const applied: number[] = [];
  const consumer = aConsumer({
    apply: (fact) =>
      new Promise((resolve) => {
        finish = () => {
          applied.push(fact.aggregate.version);
          resolve();
        };
      }),
  });
  await until(async () => (await pendingCount().catch(() => 0)) === 3);
  const stopped = consumer.stop();
  finish();
  await stopped;
  expect(applied).toEqual([1]);
  expect(await pendingCount()).toBe(2);
});

describe('when Redis', () => {
  test('is emptied, work continues with what is added afterwards', async () => {
    const own = await startOwnRedis();
    const connections = await own.connect();
    const applied: number[] = [];
    aConsumer({ redis: connections, apply: async (fact) => void applied.push(fact.aggregate.version) });
    await add(aFact('a', 1), connections);
    await until(() => applied.length === 1);
    await connections.commands.flushall();
    await add(aFact('a', 2), connections);
    await until(() => applied.length === 2);
  });

  test('is killed and comes back, everything is applied and a stop does not hang while it is away', async () => {
    const own = await startOwnRedis();
    const connections = await own.connect();
    const applied: number[] = [];
    const consumer = aConsumer({
      redis: connections,
      apply: async (fact) => void applied.push(fact.aggregate.version),
    });
    await add(aFact('a', 1), connections);
    await until(() => applied.length === 1);
    await own.kill();
    await own.restart();
    await connections.whenReady();
    await add(aFact('a', 2), connections);
    await until(() => applied.includes(2));
    await own.kill();
    await consumer.stop();
  });
});
