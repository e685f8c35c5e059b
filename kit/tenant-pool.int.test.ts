import { randomUUID } from 'node:crypto';
import { PrismaPg } from '@prisma/adapter-pg';
import type pg from 'pg';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { aDatabase, type PlumbedDatabase } from './postgres.fixture.ts';
import { NoTenantError, sqlOf, type TenantPool, transaction, withTenant } from './tenant-pool.ts';

let database: PlumbedDatabase;
let pool: TenantPool;
const tenants = Array.from({ length: 20 }, () => ({ orgId: randomUUID() }));
const [anOrg = { orgId: '' }, another = { orgId: '' }] = tenants;
const ROWS_EACH = 3;

beforeAll(async () => {
  database = await aDatabase();
  await database.run(
    'owner',
    `create table things (org_id uuid not null, id uuid not null default gen_random_uuid(), title text,
       primary key (org_id, id));
     alter table things enable row level security;
     alter table things force row level security;
     create policy things_tenant on things to taskflow_task_app
       using (org_id = (select current_setting('app.org_id')::uuid))
       with check (org_id = (select current_setting('app.org_id')::uuid));
     create policy things_owner on things to taskflow_task_owner using (true) with check (true);
     grant select, insert, update on things to taskflow_task_app;
     insert into things (org_id) select o::uuid from unnest('{${tenants.map((t) => t.orgId).join(',')}}'::text[]) o,
       generate_series(1, ${ROWS_EACH})`,
  );
  pool = database.app({ max: 4 });
});

const backends = async () =>
  (
    await database.run(
      'superuser',
      `select state from pg_stat_activity where usename = 'taskflow_task_app' and datname = '${database.name}'`,
    )
  ).rows as { state: string }[];

describe.each(['statement', 'transaction'] as const)('scope per %s', (scope) => {
  test('2,000 interleaved queries of 20 tenants over 4 connections answer 0 foreign rows', async () => {
    const shared = database.app({ max: 4, scope });
    let foreign = 0;
    let rows = 0;
    await Promise.all(
      Array.from({ length: 2_000 }, (_, n) => {
        const tenant = tenants[(n * 7) % tenants.length] ?? anOrg;
        return withTenant(tenant, async () => {
          const found = await sqlOf(shared).query<{ org_id: string }>(
            n % 3 === 0
              ? 'select org_id from things'
              : 'select org_id from things where $1::int > 0 limit 20',
            n % 3 === 0 ? [] : [n + 1],
          );
          rows += found.length;
          foreign += found.filter((row) => row.org_id !== tenant.orgId).length;
        });
      }),
    );
    expect({ foreign, rows }).toEqual({ foreign: 0, rows: 2_000 * ROWS_EACH });
    await shared.end();
  });
});

test('a statement outside withTenant is refused before it reaches the database', async () => {
  const sent: string[] = [];
  const fresh = database.app({ max: 1, onStatement: (text) => sent.push(text) });
  await expect(fresh.query('select 1')).rejects.toThrow(NoTenantError);
  await expect(fresh.connect()).rejects.toThrow(NoTenantError);
  await expect(transaction(fresh, async () => {})).rejects.toThrow(NoTenantError);
  expect(sent).toEqual([]);
  expect(fresh.totalCount).toBe(0);
});

test('a tenant whose ids are not ids is refused', async () => {
  const work = vi.fn(async () => {});
  for (const tenant of [
    { orgId: '' },
    { orgId: "' or true --" },
    { orgId: anOrg.orgId, userId: `${anOrg.orgId}'` },
    { orgId: anOrg.orgId, role: "ADMIN'; drop table things; --" },
  ]) {
    await expect(withTenant(tenant, work)).rejects.toThrow(NoTenantError);
  }
  expect(work).not.toHaveBeenCalled();
});

test('organisation, user and role are the settings of a statement, and gone after it', async () => {
  const single = database.app({ max: 1 });
  const person = { ...anOrg, userId: randomUUID(), role: 'MANAGER' };
  const settings = `select current_setting('app.org_id') as "orgId", current_setting('app.user_id') as "userId",
    current_setting('app.role') as role`;
  const read = () =>
    sqlOf(single)
      .query(settings)
      .then(([row]) => row);
  expect(await withTenant(person, read)).toEqual(person);
  expect(await withTenant(another, read)).toEqual({ ...another, userId: '', role: '' });
  expect(await withTenant(person, () => transaction(single, (sql) => sql.query(settings)))).toEqual([person]);
  expect(await withTenant(another, read)).toEqual({ ...another, userId: '', role: '' });
  await withTenant(person, async () => {
    const client = await single.connect();
    await client.query('BEGIN');
    await client.query('COMMIT');
    expect((await client.query(settings)).rows).toEqual([person]);
    client.release();
  });
});

test('a connection keeps nothing of a tenant', async () => {
  const single = database.app({ max: 1 });
  let bare: pg.PoolClient | undefined;
  single.on('connect', (client) => {
    bare = client;
  });
  const person = { ...anOrg, userId: randomUUID(), role: 'MANAGER' };
  const left = async () =>
    (await bare?.query("select current_setting('app.org_id') || current_setting('app.user_id') as left"))
      ?.rows;
  await withTenant(person, () => single.query('select 1'));
  expect(await left()).toEqual([{ left: '' }]);
  await withTenant(person, () => transaction(single, (sql) => sql.query('select 1')));
  expect(await left()).toEqual([{ left: '' }]);
});

test('the policy refuses to write another tenant’s row', async () => {
  const write = () => pool.query('insert into things (org_id) values ($1)', [another.orgId]);
  await expect(withTenant(anOrg, write)).rejects.toMatchObject({ code: '42501' });
});

test('the innermost tenant counts, and work started together keeps its own', async () => {
  const orgs = () =>
    sqlOf(pool)
      .query('select distinct org_id from things')
      .then((rows) => rows.map((row) => row.org_id));
  await withTenant(anOrg, async () => {
    expect(await withTenant(another, orgs)).toEqual([another.orgId]);
    expect(await orgs()).toEqual([anOrg.orgId]);
  });
});

test('a lazy promise takes the tenant it is returned under', async () => {
  // Like Prisma's: the statement starts when somebody awaits it.
  const lazy = () => ({
    // biome-ignore lint/suspicious/noThenProperty: a thenable is the point
    then: (resolve: (v: string) => void, reject: (e: unknown) => void) =>
      pool.query('select org_id from things limit 1').then((r: { rows: { org_id: string }[] }) => {
        resolve(r.rows[0]?.org_id ?? '');
      }, reject),
  });
  expect(await withTenant(anOrg, lazy as unknown as () => Promise<string>)).toBe(anOrg.orgId);
});

describe('under Prisma’s adapter', () => {
  const query = (sql: string) => ({ sql, args: [], argTypes: [] });

  test('a transaction is scoped at every isolation level', async () => {
    const adapter = await new PrismaPg(pool).connect();
    for (const level of [undefined, 'READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE'] as const) {
      const rows = await withTenant(anOrg, async () => {
        const tx = await adapter.startTransaction(level);
        const found = await tx.queryRaw(
          query("select distinct org_id, current_setting('transaction_isolation') from things"),
        );
        await tx.executeRaw(query('COMMIT'));
        await tx.commit();
        return found.rows;
      });
      expect(rows).toEqual([[anOrg.orgId, (level ?? 'read committed').toLowerCase()]]);
    }
  });

  test('a connection released inside a transaction is destroyed, and its work is undone', async () => {
    const own = database.app({ max: 1 });
    const adapter = await new PrismaPg(own).connect();
    await withTenant(anOrg, async () => {
      const tx = await adapter.startTransaction();
      await tx.executeRaw(query(`update things set title = 'half done'`));
      await tx.commit();
      expect(own.totalCount).toBe(0);
      const { rows } = await own.query("select count(*)::int as n from things where title = 'half done'");
      expect(rows).toEqual([{ n: 0 }]);
    });
    await own.end();
  });

  test('a released transaction can do nothing more, least of all with the next borrower’s connection', async () => {
    const own = database.app({ max: 1 });
    const adapter = await new PrismaPg(own).connect();
    await withTenant(anOrg, async () => {
      const stale = await adapter.startTransaction();
      await stale.executeRaw(query('ROLLBACK'));
      await stale.rollback();
      await withTenant(another, async () => {
        const next = await own.connect();
        await next.query('BEGIN');
        await withTenant(anOrg, async () => {
          await expect(stale.queryRaw(query('select 1'))).rejects.toThrow();
          await stale.commit();
        });
        const { rows } = await next.query('select distinct org_id from things');
        expect(rows).toEqual([{ org_id: another.orgId }]);
        await next.query('COMMIT');
        next.release();
      });
    });
    await own.end();
  });
});

test('a transaction refuses to be used for another tenant', async () => {
  await withTenant(anOrg, () =>
    transaction(pool, async (sql) => {
      const asOther = withTenant(another, () => sql.query('select 1'));
      await expect(asOther).rejects.toThrow(NoTenantError);
    }),
  );
});

test('a transaction that failed is rolled back and its connection used again', async () => {
  const own = database.app({ max: 1 });
  await withTenant(anOrg, async () => {
    const pidOf = () =>
      sqlOf(own)
        .query('select pg_backend_pid() as pid')
        .then(([row]) => row?.pid);
    const before = await pidOf();
    const failing = transaction(own, async (sql) => {
      await sql.query("update things set title = 'lost'");
      throw new Error('changed our mind');
    });
    await expect(failing).rejects.toThrow('changed our mind');
    const swallowing = transaction(own, (sql) => sql.query('select 1/0').catch(() => {}));
    await expect(swallowing).rejects.toThrow('rolled back');
    for (let n = 0; n < 20; n++)
      await expect(own.query('select 1/0')).rejects.toMatchObject({ code: '22012' });
    const lost = await own.query("select 1 from things where title = 'lost'");
    expect({ pid: await pidOf(), lost: lost.rowCount }).toEqual({ pid: before, lost: 0 });
  });
});

test('a transaction that lies idle is ended by the database, and costs nobody else anything', async () => {
  const own = database.app({ max: 1, idle_in_transaction_session_timeout: 50 });
  await withTenant(anOrg, async () => {
    const client = await own.connect();
    const lost = new Promise((resolve) => client.once('error', resolve));
    await client.query('BEGIN');
    await lost;
    client.release();
    expect((await own.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });
});

test('terminated connections are replaced, without an unheard error', async () => {
  const own = database.app({ max: 2 });
  await withTenant(anOrg, async () => {
    const sleeping = own.query('select pg_sleep(4)');
    await Promise.all([expect(sleeping).rejects.toThrow(), own.query('select 1').then(terminateAll)]);
    await vi.waitUntil(() => own.totalCount === 0);
    expect((await own.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });
  async function terminateAll() {
    await vi.waitUntil(async () => (await backends()).some((backend) => backend.state === 'active'));
    await database.run(
      'superuser',
      `select pg_terminate_backend(pid) from pg_stat_activity
       where usename = 'taskflow_task_app' and datname = '${database.name}'`,
    );
  }
});

test('a statement is prepared once per connection, and a change of its table costs one error', async () => {
  const own = database.app({ max: 1 });
  const prepared = () =>
    sqlOf(own)
      .query(
        "select count(*)::int as n from pg_prepared_statements where statement like 'select * from thing%'",
      )
      .then(([row]) => row?.n);
  await withTenant(anOrg, async () => {
    for (let n = 0; n < 3; n++) await own.query('select * from things where title = $1', ['x']);
    expect(await prepared()).toBe(1);
    await database.run('owner', 'alter table things add column extra text');
    await expect(own.query('select * from things where title = $1', ['x'])).rejects.toMatchObject({
      code: '0A000',
    });
    expect((await own.query('select * from things where title = $1', ['x'])).rows).toEqual([]);
  });
});

test('the observer sees each statement of the callers and not the context', async () => {
  const seen: string[] = [];
  const own = database.app({ max: 1, onStatement: (text) => seen.push(text) });
  await withTenant(anOrg, async () => {
    await own.query('select 1');
    await transaction(own, (sql) => sql.query('select 2'));
  });
  expect(seen).toEqual(['select 1', 'BEGIN', 'select 2', 'COMMIT']);
});

test('a value the driver cannot serialise rejects once and leaves the pool usable', async () => {
  const own = database.app({ max: 1 });
  const bad = {
    toPostgres: () => {
      throw new Error('unserialisable');
    },
  };
  await withTenant(anOrg, async () => {
    await expect(own.query('select $1::text', [bad])).rejects.toThrow('unserialisable');
    expect((await own.query('select $1::int as n', [7])).rows).toEqual([{ n: 7 }]);
  });
});

test('a system pool too destroys what comes back inside a transaction', async () => {
  const system = database.system({ max: 1 });
  const client = await system.connect();
  await client.query('BEGIN');
  client.release();
  client.release();
  expect(system.totalCount).toBe(0);
  expect((await system.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
});
