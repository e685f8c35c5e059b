import { startOwnPostgres } from '@taskflow/tests/kit/postgres';
import { beforeAll, describe, expect, test } from 'vitest';
import { aDatabase, type PlumbedDatabase, runAt } from './postgres.fixture.ts';
import { assertProtected, ProtectionError, TenantPool } from './tenant-pool.ts';

let database: PlumbedDatabase;
const unscopedTables = ['relay_lease'];

beforeAll(async () => {
  database = await aDatabase();
});

async function problemsOf(pool = database.app({ max: 1 })): Promise<readonly string[]> {
  try {
    await assertProtected(pool, { unscopedTables });
    return [];
  } catch (error) {
    if (!(error instanceof ProtectionError)) throw error;
    return error.problems;
  }
}

/** Makes the database bad for the length of one check. */
async function problemsWith(make: string, unmake: string) {
  await database.run('owner', make);
  return problemsOf().finally(() => database.run('owner', unmake));
}

const scoped = `org_id = (select current_setting('app.org_id')::uuid)`;
const protect = `alter table bad enable row level security; alter table bad force row level security;`;
const drop = 'drop table bad';

test('the database as the migrations make it is protected', async () => {
  expect(await problemsOf()).toEqual([]);
});

describe.each([
  [
    'a table without org_id that is not on the list',
    'create table bad (id uuid)',
    ['table bad has no org_id and is not on the closed list of unscoped tables'],
  ],
  [
    'a tenant table without row security',
    'create table bad (org_id uuid)',
    ['table bad is not under forced row security', 'table bad has no policy for it'],
  ],
  [
    'a tenant table whose owner is not forced',
    `create table bad (org_id uuid); alter table bad enable row level security;
     create policy p on bad to taskflow_task_app using (${scoped})`,
    ['table bad is not under forced row security'],
  ],
  [
    'a tenant table whose policies are for everybody or for others',
    `create table bad (org_id uuid); ${protect} create policy p on bad using (${scoped});
     create policy q on bad to taskflow_task_system using (true)`,
    ['table bad has no policy for it'],
  ],
  [
    'a policy that lets the role see everything',
    `create table bad (org_id uuid); ${protect} create policy p on bad to taskflow_task_app using (${scoped});
     create policy q on bad for select using (true)`,
    ['table bad: policy q does not compare app.org_id'],
  ],
  [
    'a policy that lets the role write for everybody',
    `create table bad (org_id uuid); ${protect}
     create policy p on bad to taskflow_task_app using (${scoped}) with check (true)`,
    ['table bad: policy p does not compare app.org_id'],
  ],
  [
    'a tenant table that may be truncated',
    `create table bad (org_id uuid); ${protect} create policy p on bad to taskflow_task_app using (${scoped});
     grant truncate on bad to taskflow_task_app`,
    ['table bad: it may TRUNCATE, which row security does not see'],
  ],
  [
    'a partition without forced row security',
    `create table bad (org_id uuid, at date) partition by range (at); ${protect}
     create policy p on bad to taskflow_task_app using (${scoped});
     create table bad_1 partition of bad default`,
    ['table bad_1 is not under forced row security'],
  ],
])('%s', (_, make, problems) => {
  test('is refused', async () => {
    expect(await problemsWith(make, drop)).toEqual(problems);
  });
});

test('a restrictive policy may say what it likes', async () => {
  const make = `create table bad (org_id uuid); ${protect} create policy p on bad to taskflow_task_app using (${scoped});
    create policy q on bad as restrictive to taskflow_task_app using (true)`;
  expect(await problemsWith(make, drop)).toEqual([]);
});

test('a view that runs as its owner is refused, one that runs as its reader is not', async () => {
  const view = (options: string) => `create view bad ${options} as select * from inbox;
    grant select on bad to taskflow_task_app`;
  expect(await problemsWith(view(''), 'drop view bad')).toEqual([
    'view bad would show every tenant’s rows: set security_invoker',
  ]);
  expect(await problemsWith(view('with (security_invoker = true)'), 'drop view bad')).toEqual([]);
});

test('a materialized view is refused when the role can read it', async () => {
  const make = 'create materialized view bad as select * from inbox';
  const unmake = 'drop materialized view bad';
  expect(await problemsWith(make, unmake)).toEqual([]);
  expect(await problemsWith(`${make}; grant select on bad to taskflow_task_app`, unmake)).toEqual([
    'materialized view bad would show every tenant’s rows',
  ]);
});

describe('roles', () => {
  // Roles belong to a whole server: this one is nobody else's.
  async function onOwnServer(
    check: (on: {
      problemsAt(url: string): Promise<readonly string[]>;
      problemsWith(make: string, unmake: string): Promise<readonly string[]>;
      adminUrl: string;
      ownerUrl: string;
    }) => Promise<void>,
  ) {
    const server = await startOwnPostgres();
    const { appUrl, ownerUrl } = server.urlsOf('task');
    const adminUrl = new URL(server.adminUrl);
    adminUrl.pathname = new URL(appUrl).pathname;
    const problemsAt = async (connectionString: string) => {
      const pool = new TenantPool({ connectionString, max: 1 });
      return problemsOf(pool).finally(() => pool.end());
    };
    const problemsWith = async (make: string, unmake: string) => {
      await runAt(adminUrl.href, make);
      return problemsAt(appUrl).finally(() => runAt(adminUrl.href, unmake));
    };
    await check({ problemsAt, problemsWith, adminUrl: adminUrl.href, ownerUrl });
  }

  test('that row security does not bind are refused, and so are the owner and its members', () =>
    onOwnServer(async ({ problemsAt, problemsWith, adminUrl, ownerUrl }) => {
      expect(await problemsAt(adminUrl)).toEqual(['it is a superuser: row security would not apply']);
      expect(
        await problemsWith(
          'alter role taskflow_task_app bypassrls',
          'alter role taskflow_task_app nobypassrls',
        ),
      ).toEqual(['it is allowed to bypass row security (BYPASSRLS): row security would not apply']);
      expect(
        await problemsWith('create role lord bypassrls; grant lord to taskflow_task_app', 'drop role lord'),
      ).toEqual([
        'it is a member of lord, which is allowed to bypass row security (BYPASSRLS): row security would not apply',
      ]);
      expect(await problemsAt(ownerUrl)).toContain('outbox belongs to it, or to a role it is a member of');
      expect(
        await problemsWith(
          'grant taskflow_task_owner to taskflow_task_app',
          'revoke taskflow_task_owner from taskflow_task_app',
        ),
      ).toContain('inbox belongs to it, or to a role it is a member of');
      expect(await problemsWith('select 1', 'select 1')).toEqual([]);
    }));
});

test('one message names every problem', async () => {
  await database.run('owner', 'create table bad (org_id uuid); create table worse (id uuid)');
  const check = assertProtected(database.app({ max: 1 }), { unscopedTables });
  await expect(check).rejects.toThrow(
    /taskflow_task_app must not serve.*table bad is not.*table bad has no.*table worse/s,
  );
  await database.run('owner', 'drop table bad; drop table worse');
});
