import pg from 'pg';
import { expect, it } from 'vitest';
import { aDatabase, startOwnPostgres } from './postgres.ts';

async function ask(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

const first = await aDatabase('task');

it('gives every caller a database of its own, migrated, for each of the three roles', async () => {
  const second = await aDatabase('task');
  await ask(
    first.ownerUrl,
    "insert into projects values (gen_random_uuid(), gen_random_uuid(), 'ENG', 'Engine', 1)",
  );
  expect(await ask(first.ownerUrl, 'select key from projects')).toEqual([{ key: 'ENG' }]);
  expect(await ask(second.ownerUrl, 'select key from projects')).toEqual([]);
  for (const [role, url] of Object.entries({
    app: second.appUrl,
    system: second.systemUrl,
    owner: second.ownerUrl,
  })) {
    expect(await ask(url, 'select current_user::text as role')).toEqual([{ role: `taskflow_task_${role}` }]);
  }
});

it('lets nobody into a copy who would not be let into the original', async () => {
  const org = await aDatabase('org');
  const url = new URL(org.appUrl);
  url.pathname = `/${first.name}`;
  await expect(ask(url.href, 'select 1')).rejects.toMatchObject({ code: '42501' });
});

it('drops a database though somebody still uses it', async () => {
  const database = await aDatabase('user');
  const lingering = new pg.Client({ connectionString: database.appUrl });
  lingering.on('error', () => {});
  await lingering.connect();
  await database.drop();
  await expect(ask(database.ownerUrl, 'select 1')).rejects.toMatchObject({ code: '3D000' });
});

it('starts a server that one test may freeze, kill and start again without losing what was committed', async () => {
  const own = await startOwnPostgres();
  const { ownerUrl } = own.urlsOf('org');
  await ask(ownerUrl, 'create table kept as select 1 as one');
  await own.freeze();
  await expect(ask(ownerUrl, 'select 1')).rejects.toThrow(/timeout/);
  own.resume();
  expect(await ask(ownerUrl, 'select one from kept')).toEqual([{ one: 1 }]);
  await own.kill();
  await expect(ask(ownerUrl, 'select 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  await own.restart();
  expect(await ask(ownerUrl, 'select one from kept')).toEqual([{ one: 1 }]);
});
