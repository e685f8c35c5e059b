import { randomUUID } from 'node:crypto';
import { aDatabase } from '@taskflow/tests/kit/postgres';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { roleOf, subgraphs } from './databases.ts';
import { findLeaks } from './walls.fixture.ts';

async function run<R = Record<string, unknown>>(url: string, ...statements: string[]): Promise<R[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    let rows: R[] = [];
    for (const statement of statements)
      ({ rows } = (await client.query(statement)) as unknown as { rows: R[] });
    return rows;
  } finally {
    await client.end();
  }
}

/** The tables of other migrations than the plumbing that the system role may touch, and how. */
const SYSTEM_GRANTS: Partial<Record<string, Record<string, string>>> = {
  user: {
    accounts: 'INSERT SELECT UPDATE',
    signing_keys: 'INSERT SELECT UPDATE',
    login_attempts: 'DELETE INSERT SELECT UPDATE',
    members: 'INSERT SELECT UPDATE',
    organizations: 'INSERT SELECT',
    erasures: 'INSERT SELECT UPDATE',
    identities: 'DELETE INSERT SELECT UPDATE',
    invites: 'DELETE SELECT UPDATE',
    api_keys: 'DELETE SELECT',
    credential_tokens: 'DELETE INSERT SELECT UPDATE',
    data_exports: 'DELETE SELECT',
    sessions: 'DELETE INSERT SELECT UPDATE',
    refresh_tokens: 'DELETE INSERT SELECT',
    quotas: 'INSERT SELECT UPDATE',
  },
  org: {
    organizations: 'SELECT',
    organization_plans: 'SELECT',
    api_call_counts: 'DELETE INSERT SELECT UPDATE',
  },
  // Its updates are granted column by column.
  notification: { mails: 'DELETE SELECT' },
};
const PLUMBING =
  /^(outbox|outbox_\w+|audit_\w+|relay_lease|inbox|dead_letters|parked_aggregates|idempotency_keys|_prisma_migrations)$/;

describe.each(subgraphs)('the database of %s', (subgraph) => {
  it('shows and gives the serving role no row of another tenant, and none without a context', async () => {
    expect(await findLeaks(await aDatabase(subgraph))).toEqual([]);
  });

  it('forces row security on every table with a tenant, with a policy for the serving role and the owner', async () => {
    const { adminUrl } = await aDatabase(subgraph);
    const rows = await run(
      adminUrl,
      `select c.relname as name from pg_class c
       where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
         and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'org_id')
         and not (c.relrowsecurity and c.relforcerowsecurity and (c.relispartition or (
           select count(*) = 2 from pg_policy p where p.polrelid = c.oid and p.polroles in (
             array['${roleOf(subgraph, 'app')}'::regrole::oid], array['${roleOf(subgraph, 'owner')}'::regrole::oid]))))`,
    );
    expect(rows).toEqual([]);
  });

  it('lets the system role touch the tables of its named jobs only', async () => {
    const { adminUrl } = await aDatabase(subgraph);
    const rows = await run<{ name: string; grants: string }>(
      adminUrl,
      `select table_name as name, string_agg(privilege_type, ' ' order by privilege_type) as grants
       from information_schema.role_table_grants
       where grantee = '${roleOf(subgraph, 'system')}' and table_schema = 'public' group by 1`,
    );
    const grants = rows.filter(({ name }) => !PLUMBING.test(name)).map(({ name, grants }) => [name, grants]);
    expect(Object.fromEntries(grants)).toEqual(SYSTEM_GRANTS[subgraph] ?? {});
  });

  it('starts every key and every reference with the tenant', async () => {
    const { adminUrl } = await aDatabase(subgraph);
    // The person behind a member is the one thing that several tenants share.
    const rows = await run(
      adminUrl,
      `select con.conrelid::regclass::text || '.' || con.conname as name
       from pg_constraint con join pg_attribute a on a.attrelid = con.conrelid and a.attnum = con.conkey[1]
       where con.contype in ('p', 'u', 'f') and con.connamespace = 'public'::regnamespace
         and exists (select from pg_attribute t where t.attrelid = con.conrelid and t.attname = 'org_id')
         and a.attname <> 'org_id' and con.conname <> 'members_account_fkey'
       union all
       select i.indexrelid::regclass::text from pg_index i join pg_class c on c.oid = i.indexrelid
       join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
       where i.indisunique and c.relnamespace = 'public'::regnamespace
         and exists (select from pg_attribute t where t.attrelid = i.indrelid and t.attname = 'org_id')
         and a.attname <> 'org_id'`,
    );
    expect(rows).toEqual([]);
  });
});

describe('a breach in a wall is found', () => {
  it.each([
    ['row security switched off', 'alter table teams disable row level security'],
    ['a policy for everybody', 'alter policy teams_tenant on teams using (true)'],
    ['a policy that lets rows be given away', 'alter policy teams_tenant on teams with check (true)'],
    [
      'a policy that is silent without a context',
      "alter policy teams_tenant on teams using (org_id::text = current_setting('app.org_id', true))",
    ],
    [
      'a partition that may be read',
      `grant select on outbox_default to ${roleOf('org', 'app')}; alter table outbox_default disable row level security`,
    ],
    [
      'a table without a tenant that may be read',
      `create table extra (id uuid); grant select on extra to ${roleOf('org', 'app')}`,
    ],
    [
      'a new table without row security',
      `create table extra (org_id uuid); grant select, insert on extra to ${roleOf('org', 'app')}`,
    ],
  ])('%s', async (_, sql) => {
    const database = await aDatabase('org');
    await run(database.ownerUrl, sql);
    expect(await findLeaks(database)).not.toEqual([]);
  });
});

describe.each(subgraphs)('a policy of %s that lets everybody through', (subgraph) => {
  it('is found, whichever it is', async () => {
    const database = await aDatabase(subgraph);
    // Of what the serving role may do at all; the other policies guard what nobody was granted.
    const policies = await run<{
      table: string;
      name: string;
      command: string;
      using: string;
      check: string;
    }>(
      database.adminUrl,
      `select polrelid::regclass::text as table, quote_ident(polname) as name, polcmd as command,
         pg_get_expr(polqual, polrelid) as using, pg_get_expr(polwithcheck, polrelid) as check
       from pg_policy join pg_class c on c.oid = polrelid
       where '${roleOf(subgraph, 'app')}'::regrole::oid = any (polroles) and not c.relispartition
         and has_table_privilege('${roleOf(subgraph, 'app')}', c.oid, case polcmd when 'r' then 'select'
           when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'select, insert, update, delete' end)`,
    );
    expect(policies.length).toBeGreaterThan(5);
    for (const { table, name, command, using, check } of policies) {
      const policy = (using: string, check: string) =>
        `alter policy ${name} on ${table} ${command === 'a' ? '' : `using (${using})`} ` +
        `${command === 'r' || command === 'd' ? '' : `with check (${check})`}`;
      await run(database.adminUrl, policy('true', 'true'));
      expect(await findLeaks(database, table), `${table}: ${name}`).not.toEqual([]);
      await run(database.adminUrl, policy(using, check ?? using));
      expect(await findLeaks(database, table), `${table}: ${name}`).toEqual([]);
    }
  }, 120_000);
});

describe('the owner', () => {
  const task = (orgId: string) =>
    `insert into tasks (org_id, id, number, key, title, creator_id, project_id)
     values ('${orgId}', '${randomUUID()}', 1, 'ENG-1', 'A task', '${randomUUID()}', '${randomUUID()}')`;
  const reference =
    'alter table tasks add constraint tasks_project_fkey foreign key (org_id, project_id) references projects (org_id, id)';

  it('who adds a foreign key over a dangling row is refused', async () => {
    const { ownerUrl } = await aDatabase('task');
    await run(ownerUrl, task(randomUUID()));
    await expect(run(ownerUrl, reference)).rejects.toMatchObject({ code: '23503' });
  });

  it('would not be refused without a policy of its own: the key would be marked valid', async () => {
    const { ownerUrl } = await aDatabase('task');
    await run(ownerUrl, task(randomUUID()), 'drop policy tasks_owner on tasks', reference);
    const rows = await run(
      ownerUrl,
      "select convalidated from pg_constraint where conname = 'tasks_project_fkey'",
    );
    expect(rows).toEqual([{ convalidated: true }]);
  });

  it('reaches the rows of all tenants in a backfill', async () => {
    const { ownerUrl } = await aDatabase('task');
    const [first, second] = [randomUUID(), randomUUID()];
    const rows = await run(
      ownerUrl,
      task(first),
      task(second),
      "update tasks set title = 'Filled' returning org_id",
    );
    expect(rows).toHaveLength(2);
  });
});
