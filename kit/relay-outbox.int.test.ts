import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { aFact } from './facts.fixture.ts';
import { appendFacts } from './outbox.ts';
import { aDatabase, type PlumbedDatabase } from './postgres.fixture.ts';
import { createRelayOutbox, DeposedError, type RelayOutbox, type Term } from './relay-outbox.ts';
import { type TenantPool, transaction, withTenant } from './tenant-pool.ts';

let database: PlumbedDatabase;
let app: TenantPool;
let system: pg.Pool;
let outbox: RelayOutbox;

beforeAll(async () => {
  database = await aDatabase();
  app = database.app();
  system = database.system();
});
beforeEach(async () => {
  await database.run('owner', 'truncate outbox, outbox_positions restart identity');
  await expireLease();
  outbox = createRelayOutbox(system, { holder: 'test', leaseMs: 600_000 });
});

const expireLease = () => database.run('superuser', "update relay_lease set expires_at = '-infinity'");
const acquire = async () => (await outbox.acquire()) as Term;
const append = async (count: number, orgId: string = randomUUID()) => {
  const facts = Array.from({ length: count }, () => aFact({ orgId }));
  await withTenant({ orgId }, () => transaction(app, (sql) => appendFacts(sql, facts)));
};
const state = async () => {
  const { rows } = await system.query(
    'select count(seq)::int as numbered, count(published_at)::int as published from outbox',
  );
  return rows[0];
};

test('a lease that is held cannot be taken; one that ran out can, under a higher token', async () => {
  const first = await acquire();
  expect(await outbox.acquire()).toBeNull();
  await expireLease();
  const second = await acquire();
  expect(BigInt(second.token)).toBe(BigInt(first.token) + 1n);
});

test('of two who take a free lease at the same time one gets it', async () => {
  const terms = await Promise.all(Array.from({ length: 6 }, () => outbox.acquire()));
  expect(terms.filter(Boolean).length).toBe(1);
});

test('a deposed leader numbers nothing, marks nothing, renews nothing and releases nothing', async () => {
  const deposed = await acquire();
  await append(2);
  const facts = await outbox.number(deposed, 10);
  await append(1);
  await expireLease();
  const term = await acquire();
  const lease = () => system.query('select * from relay_lease').then(({ rows }) => rows[0]);
  const before = await lease();
  expect(await outbox.number(deposed, 10)).toEqual([]);
  await expect(outbox.mark(deposed, facts, 9)).rejects.toThrow(DeposedError);
  await expect(outbox.renew(deposed)).rejects.toThrow(DeposedError);
  await outbox.release(deposed);
  expect(await lease()).toEqual(before);
  expect(await state()).toEqual({ numbered: 2, published: 0 });
  expect((await outbox.number(term, 10)).map(({ seq }) => seq)).toEqual([1]);
  await outbox.mark(term, facts, 1);
  expect(await state()).toEqual({ numbered: 3, published: 2 });
});

test('a take-over waits for the numbering that is under way, and goes on behind it', async () => {
  const orgId = randomUUID();
  const term = await acquire();
  await append(3, orgId);
  await expireLease();
  const [numbered, next] = await Promise.all([outbox.number(term, 10), acquire()]);
  const rest = await outbox.number(next, 10);
  expect([...numbered, ...rest].map(({ seq }) => seq)).toEqual([1, 2, 3]);
});

test('numbers go on where they stopped, per tenant, whatever became of the facts', async () => {
  const [one, other] = [randomUUID(), randomUUID()];
  const term = await acquire();
  const numberAll = async () =>
    (await outbox.number(term, 100)).map(({ orgId, seq }) => `${orgId} ${seq}`).sort();
  await append(2, one);
  await append(1, other);
  expect(await numberAll()).toEqual([`${one} 1`, `${one} 2`, `${other} 1`].sort());
  await database.run('owner', 'truncate outbox');
  await append(1, one);
  expect(await numberAll()).toEqual([`${one} 3`]);
});

test('an idle relay writes nothing, not even a lock on its lease', async () => {
  const term = await acquire();
  // A lock is written into the row, and so is a new version of it.
  const written = async () =>
    (await database.run('superuser', 'select xmin::text, xmax::text, ctid::text from relay_lease')).rows;
  const before = await written();
  for (let n = 0; n < 5; n++) await outbox.number(term, 10);
  expect(await written()).toEqual(before);
});

test('pages of the log are in order of rows, not of their digits', async () => {
  const term = await acquire();
  await append(120);
  await outbox.number(term, 1_000);
  const ids = (facts: { id: string }[]) => facts.map(({ id }) => Number(id));
  const page = await outbox.unpublished(15);
  expect(ids(page)).toEqual(Array.from({ length: 15 }, (_, n) => n + 1));
  await outbox.mark(term, await outbox.unpublished(1_000), 1);
  expect(ids(await outbox.retained('5', 100))).toEqual(Array.from({ length: 100 }, (_, n) => n + 6));
});
