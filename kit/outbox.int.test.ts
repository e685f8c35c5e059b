import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { beforeAll, expect, test } from 'vitest';
import { aFact } from './facts.fixture.ts';
import { appendFacts, createOutboxReader, type OutboxReader, READ_LIMIT_MAX, syncIdOf } from './outbox.ts';
import { aDatabase } from './postgres.fixture.ts';
import { createRelayOutbox, type Term } from './relay-outbox.ts';
import { type Sql, sqlOf, type TenantPool, transaction, withTenant } from './tenant-pool.ts';

let app: TenantPool;
let system: pg.Pool;
let reader: OutboxReader;
let numberAll: () => Promise<unknown>;

beforeAll(async () => {
  const database = await aDatabase();
  app = database.app();
  system = database.system();
  reader = createOutboxReader(app);
  const outbox = createRelayOutbox(system, { holder: 'test', leaseMs: 600_000 });
  const term = (await outbox.acquire()) as Term;
  numberAll = () => outbox.number(term, 10_000);
});

const append = (orgId: string, facts: ReturnType<typeof aFact>[]) =>
  withTenant({ orgId }, () => transaction(app, (sql) => appendFacts(sql, facts)));

test('facts appended together are one statement, and keep their order and every character', async () => {
  const orgId = randomUUID();
  const facts = Array.from({ length: 50 }, (_, n) => aFact({ orgId, version: n + 1 }));
  const statements: string[] = [];
  await withTenant({ orgId }, async () => {
    const sql = sqlOf(app);
    const counting: Sql = {
      query(text, values) {
        statements.push(text);
        return sql.query(text, values);
      },
    };
    await appendFacts(counting, facts);
    await appendFacts(sql, []);
  });
  expect(statements.length).toBe(1);
  await numberAll();
  expect(await reader.readAfter({ orgId }, 0, 100)).toEqual(facts.map((fact, n) => ({ seq: n + 1, fact })));
});

test('a fact is read once it is numbered, and not before', async () => {
  const tenant = { orgId: randomUUID() };
  const fact = aFact(tenant);
  await append(tenant.orgId, [fact]);
  const read = async () => ({
    facts: await reader.readAfter(tenant, 0, 10),
    tail: await reader.tail(tenant),
    oldest: await reader.oldest(tenant),
    position: await reader.positionOf(tenant, fact.id),
  });
  expect(await read()).toEqual({ facts: [], tail: 0, oldest: null, position: null });
  await numberAll();
  expect(await read()).toEqual({ facts: [{ seq: 1, fact }], tail: 1, oldest: 1, position: 1 });
});

test('a read goes on from any position, in order, and is bounded', async () => {
  const tenant = { orgId: randomUUID() };
  await append(
    tenant.orgId,
    Array.from({ length: READ_LIMIT_MAX + 5 }, () => aFact(tenant)),
  );
  await numberAll();
  const seqs = async (after: number, limit: number) =>
    (await reader.readAfter(tenant, after, limit)).map(({ seq }) => seq);
  expect(await seqs(3, 2)).toEqual([4, 5]);
  expect((await seqs(0, 1_000_000)).length).toBe(READ_LIMIT_MAX);
  expect(await seqs(READ_LIMIT_MAX + 5, 10)).toEqual([]);
});

test('another tenant’s log does not exist, and cannot be written', async () => {
  const [own, foreign] = [{ orgId: randomUUID() }, { orgId: randomUUID() }];
  const fact = aFact(foreign);
  await append(foreign.orgId, [fact]);
  await numberAll();
  expect(await reader.positionOf(own, fact.id)).toBeNull();
  expect(await reader.readAfter(own, 0, 10)).toEqual([]);
  expect(await reader.tail(own)).toBe(0);
  await expect(append(own.orgId, [aFact(own), aFact(foreign)])).rejects.toMatchObject({ code: '42501' });
  await numberAll();
  expect(await reader.tail(own)).toBe(0);
});

test('a service can neither number nor publish nor change what it has appended', async () => {
  const tenant = { orgId: randomUUID() };
  await append(tenant.orgId, [aFact(tenant)]);
  for (const statement of [
    'update outbox set seq = 1',
    'update outbox set envelope = null',
    'delete from outbox',
    'update outbox_positions set last_seq = 100',
    'select * from relay_lease',
    `insert into outbox (org_id, fact_id, type, aggregate_type, aggregate_id, aggregate_version, envelope, seq)
     values ('${tenant.orgId}', gen_random_uuid(), 't', 't', gen_random_uuid(), 1, '{}', 7)`,
  ]) {
    await expect(withTenant(tenant, () => sqlOf(app).query(statement))).rejects.toMatchObject({
      code: '42501',
    });
  }
});

test('a sync id names the source and the fact', () => {
  expect(syncIdOf({ source: 'task', id: '0198' })).toBe('task.0198');
});
