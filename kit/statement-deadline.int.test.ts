import { randomUUID } from 'node:crypto';
import { until } from '@taskflow/tests/kit/until';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Deadline, DeadlineError, withDeadline } from './deadline.ts';
import { aDatabase, type PlumbedDatabase } from './postgres.fixture.ts';
import { type Sql, sqlOf, type TenantPool, transaction, withTenant } from './tenant-pool.ts';

const tenant = { orgId: randomUUID() };
let database: PlumbedDatabase;
let pool: TenantPool;

beforeAll(async () => {
  database = await aDatabase();
  await database.run(
    'owner',
    `create table notes (org_id uuid not null, id int not null, title text, primary key (org_id, id));
     grant select, insert, update on notes to taskflow_task_app;
     insert into notes values ('${tenant.orgId}', 1, 'old')`,
  );
});

beforeEach(async () => {
  pool = database.app({ max: 2 });
  // Connecting takes its time, which is not what is tried here.
  await withTenant(tenant, () => sqlOf(pool).query('select 1'));
});

/** The SQL state that ended `work`, or the name of what it was refused with. */
const endOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error) => error.code ?? error.name,
  );

const within = <T>(ms: number, work: () => Promise<T>, deadline = new Deadline(ms)) =>
  withDeadline(deadline, () => withTenant(tenant, work));

/** What PostgreSQL has been told, in milliseconds. */
async function timeoutOf(sql: Sql): Promise<number> {
  const text = "select setting::int as ms from pg_settings where name = 'statement_timeout'";
  const [row] = await sql.query<{ ms: number }>(text);
  return row?.ms ?? 0;
}

const states = async () =>
  (
    await database.run(
      'superuser',
      `select state, query from pg_stat_activity where usename = 'taskflow_task_app' and datname = '${database.name}'`,
    )
  ).rows as { state: string; query: string }[];

const titles = async () =>
  (await database.run('superuser', 'select title from notes order by id')).rows.map(({ title }) => title);

/** Runs `work` while another transaction holds the row. */
async function whileLocked(work: () => Promise<unknown>): Promise<void> {
  const other = database.app({ max: 1 });
  await withTenant(tenant, () =>
    transaction(other, async (sql) => {
      await sql.query('select from notes for update');
      await work();
    }),
  );
}

describe('a statement within a deadline', () => {
  test('is ended by PostgreSQL when the time is over, and its connection is as good as new', async () => {
    expect(await endOf(within(400, () => sqlOf(pool).query('select pg_sleep(5)')))).toBe('57014');
    expect([pool.totalCount, pool.idleCount]).toEqual([1, 1]);
    const [row] = await withTenant(tenant, () => sqlOf(pool).query('show statement_timeout'));
    expect(row).toEqual({ statement_timeout: '5s' });
  });

  test('has what is left as its timeout, in the round trip that sets the tenant', async () => {
    const ms = await within(2_000, () => timeoutOf(sqlOf(pool)));
    expect(ms).toBeGreaterThan(1_000);
    expect(ms).toBeLessThanOrEqual(2_000);
  });

  test('is not begun when the time is over', async () => {
    const sent: string[] = [];
    const watched = database.app({ max: 1, onStatement: (text) => sent.push(text) });
    const work = within(0, () => sqlOf(watched).query('select 1'));
    await expect(work).rejects.toBeInstanceOf(DeadlineError);
    expect(sent).toEqual([]);
  });

  test('does not wait for a connection beyond it', async () => {
    const busy = [1, 2].map(() => withTenant(tenant, () => sqlOf(pool).query('select pg_sleep(0.5)')));
    expect(await endOf(within(50, () => sqlOf(pool).query('select 1')))).toBe('DeadlineError');
    await Promise.all(busy);
    expect([pool.totalCount, pool.idleCount, pool.waitingCount]).toEqual([2, 2, 0]);
  });
});

describe('a transaction within a deadline', () => {
  test('that waits for a lock too long is rolled back, and leaves nothing open', async () => {
    await whileLocked(async () => {
      const change = within(800, () =>
        transaction(pool, async (sql) => {
          await sql.query("insert into notes values ($1, 2, 'half')", [tenant.orgId]);
          await sql.query("update notes set title = 'new' where id = 1");
        }),
      );
      expect(await endOf(change)).toBe('57014');
      expect((await states()).filter(({ query }) => query.includes('update notes'))).toEqual([]);
    });
    expect(await titles()).toEqual(['old']);
    expect([pool.totalCount, pool.idleCount]).toEqual([1, 1]);
  });

  test('is not committed when the time is over', async () => {
    const deadline = new Deadline(10_000);
    const change = within(
      0,
      () =>
        transaction(pool, async (sql) => {
          await sql.query("update notes set title = 'late' where id = 1");
          Object.assign(deadline, { at: performance.now() });
        }),
      deadline,
    );
    await expect(change).rejects.toBeInstanceOf(DeadlineError);
    expect(await titles()).toEqual(['old']);
    expect((await states()).map(({ state }) => state)).not.toContain('idle in transaction');
  });

  test('tells a later statement how much less is left', async () => {
    const [first, later] = await within(3_000, () =>
      transaction(pool, async (sql) => {
        const before = await timeoutOf(sql);
        await sql.query('select pg_sleep(0.5)');
        return [before, await timeoutOf(sql)];
      }),
    );
    expect(Number(first) - Number(later)).toBeGreaterThan(400);
  });
});

describe('a caller who leaves', () => {
  test('has the statement of a read cancelled, without touching whoever comes next', async () => {
    const deadline = new Deadline(10_000);
    const read = within(0, () => sqlOf(pool).query("select pg_sleep(4), 'left'"), deadline);
    const outcome = endOf(read);
    const isRunning = async () =>
      (await states()).some(({ state, query }) => state === 'active' && query.includes("'left'"));
    await until('the statement to run', isRunning);
    deadline.cancellation.cancel();
    expect(await outcome).toBe('DeadlineError');
    expect(await isRunning()).toBe(false);
    expect(pool.idleCount).toBe(0);
    expect(await withTenant(tenant, () => sqlOf(pool).query('select 1 as one'))).toEqual([{ one: 1 }]);
  });
});
