import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { beforeAll, describe, expect, test } from 'vitest';
import { type AuditEntry, differenceOf, recordAudit } from './audit.ts';
import { digestOf } from './audit-chain.ts';
import { aDatabase, type PlumbedDatabase } from './postgres.fixture.ts';
import { type TenantPool, transaction, withTenant } from './tenant-pool.ts';

let database: PlumbedDatabase;
let app: TenantPool;
let system: pg.Pool;

beforeAll(async () => {
  database = await aDatabase();
  app = database.app();
  system = database.system();
});

const origin = { actorId: randomUUID(), requestId: 'r-1', address: '192.0.2.1', userAgent: 'curl/8' };
const done: AuditEntry = { action: 'thing.done', target: { type: 'thing', id: randomUUID() } };
const record = (orgId: string, entry: Partial<AuditEntry> = {}) =>
  withTenant({ orgId }, () =>
    transaction(app, (sql) => recordAudit(sql, orgId, origin, { ...done, ...entry })),
  );
const linesOf = async (orgId: string) => {
  const { rows } = await system.query(
    'select * from audit_entries e join audit_details d on d.org_id = e.org_id and d.entry_id = e.id where e.org_id = $1',
    [orgId],
  );
  return rows;
};

test('a line says who did what to which thing; what concerns persons stands beside it, under a salted digest', async () => {
  const orgId = randomUUID();
  await record(orgId, { after: { name: 'Ada' } });
  const [line] = await linesOf(orgId);
  expect(line).toMatchObject({
    action: 'thing.done',
    target_type: 'thing',
    target_id: done.target.id,
    actor_id: origin.actorId,
    request_id: 'r-1',
  });
  expect(JSON.parse(line.details)).toEqual({
    ...{ before: null, after: { name: 'Ada' } },
    ...{ address: '192.0.2.1', userAgent: 'curl/8' },
  });
  expect(line.details_digest.equals(digestOf(line.salt, line.details))).toBe(true);
  expect(Math.abs(line.occurred_at.getTime() - Date.now())).toBeLessThan(60_000);
});

test('of two images only what differs is kept, and nothing that is called a secret', () => {
  const before = { id: '1', name: 'Ada', tags: ['a'], passwordHash: 'x' };
  expect(differenceOf(before, { ...before, name: 'Grace', tags: ['a'] })).toEqual({
    before: { name: 'Ada' },
    after: { name: 'Grace' },
  });
  expect(differenceOf(null, { refreshToken: 'rt_x', name: 'Ada' })).toEqual({
    before: null,
    after: { refreshToken: '[redacted]', name: 'Ada' },
  });
  expect(differenceOf({ a: null }, { b: undefined, a: 1 })).toEqual({ before: { a: null }, after: { a: 1 } });
});

test('a transaction that fails leaves no line', async () => {
  const orgId = randomUUID();
  const failing = withTenant({ orgId }, () =>
    transaction(app, async (sql) => {
      await recordAudit(sql, orgId, origin, done);
      throw new Error('afterwards');
    }),
  );
  await expect(failing).rejects.toThrow('afterwards');
  expect(await linesOf(orgId)).toEqual([]);
});

test('an address that is longer than any, and text that JSON must escape, are no reason to fail', async () => {
  const orgId = randomUUID();
  const strange = { ...origin, address: 'x'.repeat(1_000), userAgent: 'nul \0 and half \ud800 a pair' };
  await withTenant({ orgId }, () => transaction(app, (sql) => recordAudit(sql, orgId, strange, done)));
  const [line] = await linesOf(orgId);
  expect(JSON.parse(line.details).address).toHaveLength(64);
  expect(line.details_digest.equals(digestOf(line.salt, line.details))).toBe(true);
});

describe('the log is append-only', () => {
  const DENIED = { code: '42501' };
  const orgId = randomUUID();
  beforeAll(() => record(orgId));

  test.each([
    'update audit_entries set action = action',
    'update audit_details set details = details',
    'update audit_seals set hash = hash',
    'update audit_unsealed set entry_id = entry_id',
    'delete from audit_entries',
    'delete from audit_seals',
    'delete from audit_details',
    'delete from audit_unsealed',
    'update audit_chain set last_seq = 0',
    'delete from audit_chain',
    'delete from audit_checkpoints',
    `insert into audit_seals (org_id, seq, entry_id, hash) values ('${orgId}', 1, '${randomUUID()}', '')`,
    'truncate audit_entries',
  ])('for the serving role: %s', async (statement) => {
    await expect(withTenant({ orgId }, () => app.query(statement))).rejects.toMatchObject(DENIED);
  });

  test.each([
    'update audit_entries set action = action',
    'update audit_details set details = details',
    'update audit_seals set hash = hash',
    'delete from audit_entries',
    'delete from audit_chain',
    'truncate audit_entries',
  ])('for the system role: %s', async (statement) => {
    await expect(system.query(statement)).rejects.toMatchObject(DENIED);
  });

  test.each([
    'update audit_entries set action = action',
    'update audit_seals set hash = hash',
    'delete from audit_entries',
  ])('even for the owner: %s', async (statement) => {
    await expect(database.run('owner', statement)).rejects.toMatchObject(DENIED);
  });
});
