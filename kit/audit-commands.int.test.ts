import { randomUUID } from 'node:crypto';
import { aDatabase, type TestDatabase } from '@taskflow/tests/kit/postgres';
import { beforeAll, expect, test } from 'vitest';
import { recordAudit } from './audit.ts';
import { auditExport, auditVerify } from './audit-commands.ts';
import { createAuditSeal } from './audit-seal.ts';
import { parseKeyRing } from './config.ts';
import { runAt } from './postgres.fixture.ts';
import { createRelayOutbox, type Term } from './relay-outbox.ts';
import { createSystemPool, sqlOf } from './sql.ts';

const keeping = { days: 90, ring: parseKeyRing('one:0123456789abcdef0123456789abcdef') };
const [orgId, other] = [randomUUID(), randomUUID()];
let database: TestDatabase;

/** Runs it as the operator would; what it printed, and why it failed. */
async function run(make: typeof auditVerify, ...args: string[]) {
  const lines: string[] = [];
  const command = make('task', () => ({ systemUrl: database.systemUrl, keeping }));
  const failure = await command
    .run(args, { env: {}, out: (line) => void lines.push(line) })
    .then(() => null)
    .catch((error: Error) => `${error.name}: ${error.message}`);
  return { lines, failure };
}

async function inPool(work: (pool: ReturnType<typeof createSystemPool>) => Promise<unknown>): Promise<void> {
  const pool = createSystemPool({ connectionString: database.systemUrl });
  await work(pool);
  await pool.end();
}

const record = (tenant: string, name: string) =>
  inPool((pool) =>
    recordAudit(
      sqlOf(pool),
      tenant,
      { actorId: null, requestId: 'r', address: null, userAgent: '=1+1' },
      { action: 'thing.done', target: { type: 'thing', id: null }, after: { name } },
    ),
  );

const seal = () =>
  inPool(async (pool) => {
    const term = await createRelayOutbox(pool, { holder: 'test', leaseMs: 1 }).acquire();
    await createAuditSeal(pool, 'task').seal(term as Term, 100);
  });

beforeAll(async () => {
  database = await aDatabase('task');
  await record(orgId, 'Ada, "the first"');
  await record(orgId, 'Grace');
  await record(other, 'Zoe');
  await seal();
});

test('an export holds one organisation, oldest first, without what a spreadsheet would run, and is recorded', async () => {
  const { lines, failure } = await run(auditExport, '--organization', orgId, '--subgraph', 'task');
  expect(failure).toBeNull();
  const [header, ...rows] = lines;
  expect(header).toMatch(/^subgraph,id,occurredAt,action,/);
  expect(rows.map((row) => /"name""*:""*(\w+)/.exec(row.replaceAll('\\', ''))?.[1])).toEqual([
    'Ada',
    'Grace',
    undefined,
  ]);
  expect(rows[0]).toContain(`"{""name"":""Ada, \\""the first\\""""}"`);
  expect(rows[0]).toContain(`,'=1+1,`);
  expect(lines.join('\n')).not.toContain('Zoe');
  expect(rows[2]).toContain('audit-log.exported');
});

test('as JSON lines each entry is an object', async () => {
  const { lines } = await run(
    auditExport,
    ...['--organization', other, '--subgraph', 'task', '--format', 'jsonl'],
  );
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    ...{ subgraph: 'task', action: 'thing.done', before: null, after: { name: 'Zoe' } },
    ...{ userAgent: '=1+1', sequence: 1, isErased: false },
  });
});

test('what belongs to another subgraph is left to it', async () => {
  expect(await run(auditExport, '--organization', orgId, '--subgraph', 'org')).toEqual({
    lines: [],
    failure: null,
  });
  expect(await run(auditVerify, '--subgraph', 'org')).toEqual({ lines: [], failure: null });
});

test.each([
  ['--organization', 'nonsense'],
  ['--colour', 'red'],
])('arguments that make no sense are told: %s %s', async (...args) => {
  expect((await run(auditVerify, ...args)).failure).toMatch(/^UsageError/);
});

test('verification tells of each organisation, and fails when one is damaged', async () => {
  await seal();
  const whole = await run(auditVerify);
  expect(whole.failure).toBeNull();
  expect(whole.lines).toHaveLength(3);
  expect(whole.lines.at(-1)).toMatch(/^task: 2 organisations, \d+ entries, 0 damaged chains$/);
  expect(whole.lines[0]).toMatch(
    /sealed \d+ {2}unsealed 0 {2}erased 0 {2}from 1 {2}head \d+:[0-9a-f]{64} {2}whole$/,
  );

  await runAt(
    database.adminUrl,
    `set session_replication_role = 'replica';
     update audit_entries set action = 'thing.undone' where org_id = '${orgId}'
       and id = (select entry_id from audit_seals where org_id = '${orgId}' and seq = 2)`,
  );
  const damaged = await run(auditVerify);
  expect(damaged.failure).toBe('Error: the audit log of task is damaged');
  expect(damaged.lines.join('\n')).toMatch(
    new RegExp(
      `task {2}${orgId} .*DAMAGED {2}first bad 2\n {2}2: the entry, or its place in the chain, was changed`,
    ),
  );
  expect((await run(auditVerify, '--organization', other)).failure).toBeNull();
});
