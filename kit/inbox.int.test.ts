import { randomUUID } from 'node:crypto';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { aFact } from './facts.fixture.ts';
import { claimFact, deadLetter, isParked, listDeadLetters, park, replayDeadLetters } from './inbox.ts';
import type { Fact } from './outbox.ts';
import { aDatabase } from './postgres.fixture.ts';
import { type Sql, type TenantPool, transaction, withTenant } from './tenant-pool.ts';

let app: TenantPool;
let orgId: string;
const aggregateId = randomUUID();

beforeAll(async () => {
  app = (await aDatabase()).app();
});
beforeEach(() => {
  orgId = randomUUID();
});

const transact = <T>(work: (sql: Sql) => Promise<T>) => withTenant({ orgId }, () => transaction(app, work));
const letters = async () =>
  (await transact((sql) => listDeadLetters(sql, { orgId }))).map(({ fact, reason }) => [
    fact.aggregate.version,
    reason,
  ]);
const facts = (count: number, id = aggregateId) =>
  Array.from({ length: count }, (_, n) => aFact({ orgId, aggregateId: id, version: n + 1 }));
const putAside = async (all: Fact[], reason = 'poison') => {
  for (const fact of all) await transact((sql) => deadLetter(sql, fact, { reason, attempts: 5 }));
};

test('a fact is claimed once, also by two at the same time, and again when the first rolls back', async () => {
  const fact = aFact({ orgId });
  const failing = transact(async (sql) => {
    expect(await claimFact(sql, fact)).toBe(true);
    throw new Error('the effect failed');
  });
  await expect(failing).rejects.toThrow('the effect failed');
  const claims = await Promise.all(Array.from({ length: 8 }, () => transact((sql) => claimFact(sql, fact))));
  expect(claims.filter(Boolean).length).toBe(1);
});

test('the same id from another source is another fact', async () => {
  const fact = aFact({ orgId });
  expect(await transact((sql) => claimFact(sql, fact))).toBe(true);
  expect(await transact((sql) => claimFact(sql, { ...fact, source: 'org' }))).toBe(true);
});

test('a dead letter parks its aggregate and no other, and keeps its first reason', async () => {
  const [first, second] = facts(2) as [Fact, Fact];
  await putAside([first]);
  await putAside([first], 'again');
  expect(await letters()).toEqual([[1, 'poison']]);
  expect(await transact((sql) => isParked(sql, second))).toBe(true);
  expect(await transact((sql) => isParked(sql, aFact({ orgId })))).toBe(false);
  expect(await transact((sql) => isParked(sql, { ...second, source: 'org' }))).toBe(false);
});

test('a replay applies letters in order of arrival and unparks when none is left', async () => {
  const all = facts(5);
  await putAside(all);
  const applied: number[] = [];
  const result = await replayDeadLetters(transact, { orgId }, async (fact) => {
    applied.push(fact.aggregate.version);
  });
  expect(result).toEqual({ replayed: 5, failed: [] });
  expect(applied).toEqual([1, 2, 3, 4, 5]);
  expect(await letters()).toEqual([]);
  expect(await transact((sql) => isParked(sql, all[0] as Fact))).toBe(false);
});

test('a letter that fails again holds back its own aggregate only', async () => {
  const other = randomUUID();
  await putAside([...facts(3), ...facts(2, other)]);
  const { replayed, failed } = await replayDeadLetters(transact, { orgId }, async ({ aggregate }) => {
    if (aggregate.id === aggregateId && aggregate.version === 2) throw new Error('still poison');
  });
  expect({ replayed, failed: failed.map(({ fact }) => fact.aggregate.version) }).toEqual({
    replayed: 3,
    failed: [2],
  });
  expect(await letters()).toEqual([
    [2, 'poison'],
    [3, 'poison'],
  ]);
  expect(await transact((sql) => isParked(sql, aFact({ orgId, aggregateId })))).toBe(true);
  expect(await transact((sql) => isParked(sql, aFact({ orgId, aggregateId: other })))).toBe(false);
});

test('a replay can be narrowed to one source or one aggregate', async () => {
  const other = randomUUID();
  await putAside([...facts(1), ...facts(1, other)]);
  const replay = (filter: object) => replayDeadLetters(transact, { orgId, ...filter }, async () => {});
  expect((await replay({ source: 'org' })).replayed).toBe(0);
  expect((await replay({ aggregateId: other })).replayed).toBe(1);
  expect((await letters()).length).toBe(1);
});

test('a fact that arrives during a replay is not left behind', async () => {
  await putAside(facts(1));
  const late = aFact({ orgId, aggregateId, version: 2 });
  const applied: number[] = [];
  let arrival: Promise<unknown> = Promise.resolve();
  await replayDeadLetters(transact, { orgId }, async (fact) => {
    applied.push(fact.aggregate.version);
    if (fact.aggregate.version > 1) return;
    // It finds the aggregate parked, and takes its time; the replay comes to its end meanwhile.
    let found = () => {};
    const isFound = new Promise<void>((resolve) => {
      found = resolve;
    });
    arrival = transact(async (sql) => {
      expect(await isParked(sql, late)).toBe(true);
      found();
      await sql.query('select pg_sleep(0.3)');
      await deadLetter(sql, late, { reason: 'waits', attempts: 0 });
    });
    await isFound;
  });
  await arrival;
  expect(applied).toEqual([1, 2]);
  expect(await letters()).toEqual([]);
  expect(await transact((sql) => isParked(sql, late))).toBe(false);
});

test('parking twice is parking once', async () => {
  const fact = aFact({ orgId });
  await transact((sql) => park(sql, fact));
  await transact((sql) => park(sql, fact));
  expect(await transact((sql) => isParked(sql, fact))).toBe(true);
});

test('another tenant’s letters do not exist', async () => {
  await putAside(facts(1));
  const asOther = withTenant({ orgId: randomUUID() }, () =>
    transaction(app, (sql) => listDeadLetters(sql, { orgId })),
  );
  expect(await asOther).toEqual([]);
});
