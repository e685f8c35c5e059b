/** Seal, verification and retention of the audit log, and everything that somebody may do to it behind our back. */
import { randomUUID } from 'node:crypto';
import { until } from '@taskflow/tests/kit/until';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { recordAudit } from './audit.ts';
import { createAuditRetention } from './audit-retention.ts';
import { createAuditSeal } from './audit-seal.ts';
import { type AuditReport, type VerifyOptions, verifyAudit } from './audit-verify.ts';
import { parseKeyRing } from './config.ts';
import { createLog } from './log.ts';
import { aDatabase, type PlumbedDatabase } from './postgres.fixture.ts';
import { createRelayOutbox, type Term } from './relay-outbox.ts';
import { type TenantPool, transaction, withTenant } from './tenant-pool.ts';

const source = 'task';
const ring = parseKeyRing('new:0123456789abcdef0123456789abcdef,old:fedcba9876543210fedcba9876543210');
const log = createLog({ process: 'test', level: 'silent' });
const DAY_MS = 86_400_000;

let database: PlumbedDatabase;
let app: TenantPool;
let system: pg.Pool;
/** Passes triggers and row security, as somebody who took the server over. */
let intruder: pg.Client;
let term: Term;
let orgId: string;

beforeAll(async () => {
  database = await aDatabase();
  app = database.app({ max: 8 });
  system = database.system();
  intruder = new pg.Client({ connectionString: database.adminUrl });
  await intruder.connect();
  await intruder.query("set session_replication_role = 'replica'");
  term = await takeLease();
});
afterAll(() => intruder.end());
beforeEach(() => {
  orgId = randomUUID();
});

async function takeLease(): Promise<Term> {
  await database.run('superuser', "update relay_lease set expires_at = '-infinity'");
  return (await createRelayOutbox(system, { holder: 'test', leaseMs: 600_000 }).acquire()) as Term;
}

const origin = { actorId: randomUUID(), requestId: 'r', address: '192.0.2.1', userAgent: null };
const record = (tenant: string, n: number) =>
  withTenant({ orgId: tenant }, () =>
    transaction(app, (sql) =>
      recordAudit(sql, tenant, origin, {
        ...{ action: 'thing.done', target: { type: 'thing', id: randomUUID() }, after: { n } },
      }),
    ),
  );
async function recordMany(count: number, tenant = orgId): Promise<void> {
  for (let n = 1; n <= count; n++) await record(tenant, n);
}
const seal = (limit = 1_000, by = term) => createAuditSeal(system, source).seal(by, limit);
const sealAll = async () => {
  while ((await seal()) > 0);
};
async function verify(tenant = orgId, options: Partial<VerifyOptions> = {}): Promise<AuditReport> {
  const asked = { source, ring, organizationId: tenant, ...options };
  for await (const report of verifyAudit(system, asked)) return report;
  throw new Error('no such tenant');
}
const seqsOf = async (tenant = orgId) => {
  const { rows } = await system.query<{ seq: string }>(
    'select seq from audit_seals where org_id = $1 order by seq',
    [tenant],
  );
  return rows.map(({ seq }) => Number(seq));
};
const upTo = (count: number, from = 1) => Array.from({ length: count }, (_, n) => n + from);

describe('the seal', () => {
  test('numbers each tenant’s entries without gaps, in the order of claiming, and its chain verifies', async () => {
    const other = randomUUID();
    for (let n = 1; n <= 20; n++) await Promise.all([record(orgId, n), record(other, n)]);
    await seal(7);
    await record(orgId, 21);
    await sealAll();
    expect(await seqsOf()).toEqual(upTo(21));
    expect(await seqsOf(other)).toEqual(upTo(20));
    expect(await verify()).toMatchObject({
      ...{ orgId, entries: 21, sealed: 21, unsealed: 0, erased: 0, checkpoint: 0 },
      ...{ firstBad: null, problems: [], head: { seq: 21 } },
    });
  });

  test('takes in an entry that commits after a later one was sealed', async () => {
    const late = Promise.withResolvers<void>();
    const recorded = Promise.withResolvers<void>();
    const slow = withTenant({ orgId }, () =>
      transaction(app, async (sql) => {
        await recordAudit(sql, orgId, origin, { action: 'slow.done', target: { type: 'thing', id: null } });
        recorded.resolve();
        await late.promise;
      }),
    );
    await recorded.promise;
    await recordMany(3);
    await sealAll();
    expect(await seqsOf()).toEqual([1, 2, 3]);
    late.resolve();
    await slow;
    await sealAll();
    expect(await verify()).toMatchObject({ sealed: 4, problems: [] });
  });

  test('of a deposed leader writes nothing', async () => {
    await recordMany(2);
    const deposed = term;
    term = await takeLease();
    expect(await seal(10, deposed)).toBe(0);
    expect(await seqsOf()).toEqual([]);
    await sealAll();
    expect(await verify()).toMatchObject({ sealed: 2, problems: [] });
  });

  test('by two at once, both believing that they lead, makes one chain', async () => {
    const tenants = [orgId, randomUUID(), randomUUID()];
    let isWriting = true;
    const writing = Promise.all(
      tenants.map(async (tenant) => {
        for (let n = 1; n <= 60; n++) await record(tenant, n);
      }),
    ).finally(() => {
      isWriting = false;
    });
    const sealing = [1, 2].map(async () => {
      while (isWriting) await seal(9).catch(() => {});
    });
    await Promise.all([writing, ...sealing]);
    await sealAll();
    for (const tenant of tenants) {
      expect(await seqsOf(tenant)).toEqual(upTo(60));
      expect(await verify(tenant)).toMatchObject({ sealed: 60, problems: [] });
    }
  });

  test('killed in the middle of a batch leaves no half of it', async () => {
    await recordMany(30);
    // The row that it must change is held, so that it can be killed between its parts.
    await seal(10);
    await intruder.query('begin');
    await intruder.query('select from audit_chain where org_id = $1 for update', [orgId]);
    const name = `doomed ${randomUUID()}`;
    const doomedPool = database.system({ application_name: name, max: 1 });
    const doomed = createAuditSeal(doomedPool, source)
      .seal(term, 10)
      .catch((error) => error);
    await until('the seal to wait for the row', async () => {
      const { rows } = await system.query(
        'select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1 and wait_event_type = $2',
        [name, 'Lock'],
      );
      return rows.length === 1;
    });
    expect(await doomed).toBeInstanceOf(Error);
    await intruder.query('rollback');
    expect(await seqsOf()).toEqual(upTo(10));
    await sealAll();
    expect(await seqsOf()).toEqual(upTo(30));
    expect(await verify()).toMatchObject({ unsealed: 0, problems: [] });
  });

  test('goes past what cannot be sealed, however much of it stands in front', async () => {
    const lost = randomUUID();
    await intruder.query(
      `insert into audit_unsealed select $1, ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid
       from generate_series(1, 12) n`,
      [lost],
    );
    await recordMany(3);
    const sealer = createAuditSeal(system, source);
    for (let n = 1; n <= 4; n++) await sealer.seal(term, 5);
    expect(await seqsOf()).toEqual([1, 2, 3]);
    expect((await verify(lost)).problems).toEqual(['12 entries were removed before they were sealed']);
    await intruder.query('delete from audit_unsealed where org_id = $1', [lost]);
  });

  test('goes on for the others when somebody has put the end of one chain back', async () => {
    const other = randomUUID();
    await recordMany(3);
    await sealAll();
    await intruder.query('update audit_chain set last_seq = 1 where org_id = $1', [orgId]);
    await recordMany(2);
    await recordMany(2, other);
    await sealAll();
    expect(await seqsOf()).toEqual([1, 2, 3]);
    expect(await verify(other)).toMatchObject({ sealed: 2, problems: [] });
    expect((await verify()).problems).not.toEqual([]);
    await intruder.query('update audit_chain set last_seq = 3 where org_id = $1', [orgId]);
    await sealAll();
    expect(await verify()).toMatchObject({ sealed: 5, problems: [] });
  });
});

describe('verification finds', () => {
  const entry = (seq: number) =>
    `(select entry_id from audit_seals where org_id = '${orgId}' and seq = ${seq})`;
  const own = () => `org_id = '${orgId}'`;

  beforeEach(async () => {
    await recordMany(10);
    await sealAll();
    expect((await verify()).problems).toEqual([]);
  });

  test.each<[string, number, () => string]>([
    [
      'a changed action',
      4,
      () => `update audit_entries set action = 'thing.undone' where ${own()} and id = ${entry(4)}`,
    ],
    [
      'a changed actor',
      4,
      () => `update audit_entries set actor_id = null where ${own()} and id = ${entry(4)}`,
    ],
    [
      'a changed time',
      4,
      () =>
        `update audit_entries set occurred_at = occurred_at - interval '1 day' where ${own()} and id = ${entry(4)}`,
    ],
    [
      'changed details',
      5,
      () => `update audit_details set details = '{}' where ${own()} and entry_id = ${entry(5)}`,
    ],
    [
      'details with a digest to match',
      5,
      () => `update audit_details set details = '{}' where ${own()} and entry_id = ${entry(5)};
        update audit_entries e set details_digest = sha256(d.salt || convert_to(d.details, 'UTF8')) from audit_details d
          where e.${own()} and d.${own()} and d.entry_id = e.id and e.id = ${entry(5)}`,
    ],
    [
      'an entry removed in the middle',
      6,
      () => `delete from audit_entries where ${own()} and id = ${entry(6)}`,
    ],
    [
      'an entry removed in the middle with its seal and details',
      6,
      () => `delete from audit_entries where ${own()} and id = ${entry(6)};
        delete from audit_details where ${own()} and entry_id = ${entry(6)};
        delete from audit_seals where ${own()} and seq = 6`,
    ],
    [
      'an entry removed in the middle, and the rest renumbered',
      6,
      () => `delete from audit_entries where ${own()} and id = ${entry(6)};
        delete from audit_details where ${own()} and entry_id = ${entry(6)};
        delete from audit_seals where ${own()} and seq = 6;
        update audit_seals set seq = seq + 1000 where ${own()} and seq > 6;
        update audit_seals set seq = seq - 1001 where ${own()} and seq > 1000;
        update audit_chain set last_seq = 9 where ${own()}`,
    ],
    [
      'entries removed at the end',
      10,
      () => `delete from audit_entries where ${own()} and id = ${entry(10)};
        delete from audit_details where ${own()} and entry_id = ${entry(10)};
        delete from audit_seals where ${own()} and seq = 10`,
    ],
    [
      'entries removed at the beginning',
      1,
      () => `delete from audit_entries where ${own()} and id = ${entry(1)};
        delete from audit_details where ${own()} and entry_id = ${entry(1)};
        delete from audit_seals where ${own()} and seq = 1`,
    ],
    [
      'two entries that changed places',
      3,
      () => `update audit_seals set seq = 1003 where ${own()} and seq = 3;
        update audit_seals set seq = 3 where ${own()} and seq = 8;
        update audit_seals set seq = 8 where ${own()} and seq = 1003`,
    ],
    [
      'everything removed',
      1,
      () => `delete from audit_entries where ${own()}; delete from audit_details where ${own()};
        delete from audit_seals where ${own()}`,
    ],
    [
      'a forged checkpoint',
      4,
      () => `insert into audit_checkpoints (org_id, seq, hash, removed_until, signature)
          select org_id, seq, hash, now(), 'v1.new.${Buffer.alloc(32).toString('base64url')}'
          from audit_seals where ${own()} and seq = 4;
        delete from audit_details where ${own()} and entry_id in (select entry_id from audit_seals where ${own()} and seq <= 4);
        delete from audit_entries where ${own()} and id in (select entry_id from audit_seals where ${own()} and seq <= 4);
        delete from audit_seals where ${own()} and seq <= 4`,
    ],
    [
      'an entry that was slipped in beside the chain',
      11,
      () => `insert into audit_entries select org_id, gen_random_uuid(), action, target_type, target_id, actor_id, session_id,
          request_id, occurred_at, details_digest from audit_entries where ${own()} limit 1`,
    ],
    [
      'an entry that was moved to another tenant',
      2,
      () => `update audit_entries set org_id = gen_random_uuid() where ${own()} and id = ${entry(2)}`,
    ],
  ])('%s', async (_, firstBad, tamper) => {
    const statements = tamper();
    // Within one transaction, as the later subselects need rows that the earlier statements remove.
    await intruder.query(reordered(statements));
    const report = await verify();
    expect(report.problems).not.toEqual([]);
    expect(report.firstBad).toBe(firstBad);
  });

  /** Seals last: the other statements find their entries by them. */
  function reordered(statements: string): string {
    const parts = statements.split(';').map((part) => part.trim());
    const details = parts.filter((part) => part.startsWith('delete from audit_details'));
    const rest = parts.filter((part) => !part.startsWith('delete from audit_details'));
    return [...details, ...rest].join('; ');
  }

  test('nothing wrong where details were erased, and counts them', async () => {
    await system.query(`delete from audit_details where ${own()} and entry_id = ${entry(3)}`);
    expect(await verify()).toMatchObject({ entries: 10, sealed: 10, erased: 1, problems: [] });
  });

  test('one complaint for one change, not one for each link behind it', async () => {
    await intruder.query(
      `update audit_entries set action = 'thing.undone' where ${own()} and id = ${entry(2)}`,
    );
    expect((await verify()).problems).toEqual(['2: the entry, or its place in the chain, was changed']);
  });
});

describe('retention', () => {
  const retention = (keys = ring) =>
    createAuditRetention(system, { source, keeping: { days: 90, ring: keys }, log });
  /** As if they had happened `days` ago: entries cannot be changed, so the clock of retention is put forward. */
  const inDays = (days: number) => new Date(Date.now() + days * DAY_MS);

  test('removes nothing that is young enough', async () => {
    await recordMany(3);
    await sealAll();
    await retention().run(inDays(89));
    expect(await verify()).toMatchObject({ entries: 3, checkpoint: 0, problems: [] });
  });

  test('leaves a signed checkpoint from which the chain goes on', async () => {
    await recordMany(5);
    await sealAll();
    await retention().run(inDays(92));
    await recordMany(2);
    await sealAll();
    expect(await verify()).toMatchObject({ entries: 2, sealed: 2, checkpoint: 5, problems: [] });
    expect(await seqsOf()).toEqual([6, 7]);
    await retention().run(inDays(92));
    const { rows } = await system.query('select seq from audit_checkpoints where org_id = $1', [orgId]);
    expect(rows).toEqual([{ seq: '7' }]);
    expect(await verify()).toMatchObject({ entries: 0, checkpoint: 7, head: { seq: 7 }, problems: [] });
  });

  test('takes more than a chunk in its stride, and several running at once', async () => {
    await database.run(
      'superuser',
      `with given as (select gen_random_uuid() as id from generate_series(1, 2500)),
         waiting as (insert into audit_unsealed select '${orgId}', id from given)
       insert into audit_entries (org_id, id, action, target_type, request_id, occurred_at, details_digest)
         select '${orgId}', id, 'thing.done', 'thing', 'r', now(), sha256('') from given`,
    );
    await sealAll();
    await Promise.all([retention().run(inDays(92)), retention().run(inDays(92))]);
    expect(await verify()).toMatchObject({ entries: 0, checkpoint: 2_500, problems: [] });
  });

  test.each([
    ['delete from audit_entries', ''],
    ["update audit_entries set action = 'thing.undone'", ''],
    ['delete from audit_entries', 'and its seal'],
  ])('leaves a damaged chain as it is: %s %s', async (tamper, andSeal) => {
    await recordMany(5);
    await sealAll();
    const third = `org_id = '${orgId}' and id = (select entry_id from audit_seals where org_id = '${orgId}' and seq = 3)`;
    await intruder.query(`${tamper} where ${third}`);
    if (andSeal) await intruder.query(`delete from audit_seals where org_id = '${orgId}' and seq = 3`);
    await retention().run(inDays(92));
    expect(await seqsOf()).toEqual(andSeal ? [4, 5] : [3, 4, 5]);
    expect(await verify()).toMatchObject({ checkpoint: 2, firstBad: 3 });
  });

  test('signs with the first key of the ring; one with the second is still good, one with neither is forged', async () => {
    await recordMany(2);
    await sealAll();
    await retention(parseKeyRing('old:fedcba9876543210fedcba9876543210')).run(inDays(92));
    expect((await verify()).problems).toEqual([]);
    await recordMany(1);
    await sealAll();
    await retention().run(inDays(92));
    const { rows } = await system.query('select signature from audit_checkpoints where org_id = $1', [orgId]);
    expect(rows[0].signature).toMatch(/^v1\.new\./);
    const strange = parseKeyRing('new:ffffffffffffffffffffffffffffffff');
    expect((await verify(orgId, { ring: strange })).problems).toEqual(['3: the checkpoint is forged']);
  });

  test('signs anew with the first key what a tenant at rest has under the second, and nothing that is forged', async () => {
    await recordMany(2);
    await sealAll();
    await retention(parseKeyRing('old:fedcba9876543210fedcba9876543210')).run(inDays(92));
    await retention().run();
    const alone = { ring: parseKeyRing('new:0123456789abcdef0123456789abcdef') };
    expect(await verify(orgId, alone)).toMatchObject({ checkpoint: 2, problems: [] });
    await intruder.query("update audit_checkpoints set signature = 'v1.old.forged' where org_id = $1", [
      orgId,
    ]);
    await retention().run();
    expect((await verify()).problems).toEqual(['2: the checkpoint is forged']);
  });

  test('is the only way to remove an entry: without a checkpoint the database refuses', async () => {
    await recordMany(2);
    await sealAll();
    for (const table of ['audit_entries', 'audit_seals']) {
      await expect(system.query(`delete from ${table} where org_id = $1`, [orgId])).rejects.toMatchObject({
        code: '42501',
      });
    }
  });
});

test('a chain is bound to its subgraph: the same rows elsewhere do not verify', async () => {
  await recordMany(2);
  await sealAll();
  expect(await verify(orgId, { source: 'org' })).toMatchObject({ firstBad: 1 });
});
