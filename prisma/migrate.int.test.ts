import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { aDatabase } from '@taskflow/tests/kit/postgres';
import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { findDrift } from './check.ts';
import { type Subgraph, subgraphs } from './databases.ts';
import { folderOf, MigrationError, markRolledBack, migrate } from './migrate.ts';

async function run(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

/** A copy of a subgraph's folder, to be changed. */
async function aFolder(subgraph: Subgraph) {
  const folder = await mkdtemp(join(tmpdir(), 'taskflow-migrations-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await cp(folderOf(subgraph), folder, { recursive: true });
  const write = async (name: string, sql: string) => {
    await mkdir(join(folder, 'migrations', name), { recursive: true });
    await writeFile(join(folder, 'migrations', name, 'migration.sql'), sql);
  };
  return { folder, write };
}

describe.each(subgraphs)('the database of %s', (subgraph) => {
  it('has nothing to apply a second time', async () => {
    const { ownerUrl: url } = await aDatabase(subgraph);
    expect(await migrate({ subgraph, url })).toEqual([]);
  });

  it('equals schema.prisma, and keeps the checksums that prisma migrate would', async () => {
    const { ownerUrl } = await aDatabase(subgraph);
    expect(await findDrift(subgraph, ownerUrl)).toEqual([]);
    const rows = await run(ownerUrl, 'select migration_name, checksum from _prisma_migrations order by 1');
    const [plumbing] = rows;
    const file = await readFile(join(folderOf(subgraph), 'migrations/0001_plumbing/migration.sql'));
    expect(plumbing).toEqual({
      migration_name: '0001_plumbing',
      checksum: createHash('sha256').update(file).digest('hex'),
    });
  });
});

describe('a difference between schema.prisma and the migrations is found', () => {
  it.each([
    ['a column that Prisma does not know', 'alter table teams add column extra text'],
    ['a column that is missing', 'alter table teams drop column archived_at'],
    ['another type', 'alter table teams alter column name type varchar(10)'],
    ['a table that Prisma does not know', 'create table extra (id uuid primary key)'],
    [
      'a partial unique that lost its condition',
      'drop index team_members_active_key; create unique index team_members_active_key on team_members (org_id, team_id, user_id)',
    ],
    ['a missing foreign key', 'alter table teams drop constraint teams_parent_fkey'],
  ])('%s', async (_, sql) => {
    const { ownerUrl } = await aDatabase('org');
    await run(ownerUrl, sql);
    expect(await findDrift('org', ownerUrl)).toHaveLength(1);
  });
});

describe('migrating', () => {
  it('applies what is new, whole, with functions that contain semicolons', async () => {
    const { ownerUrl: url } = await aDatabase('org');
    const { folder, write } = await aFolder('org');
    await write(
      '0003_more',
      'create function two() returns int language sql as $$ select 1; select 2; $$;\n-- done;\n',
    );
    expect(await migrate({ subgraph: 'org', url, folder })).toEqual(['0003_more']);
    expect(await run(url, 'select two()')).toEqual([{ two: 2 }]);
  });

  it('keeps nothing of a migration that fails, and names line and cause', async () => {
    const { ownerUrl: url } = await aDatabase('org');
    const { folder, write } = await aFolder('org');
    await write('0003_broken', 'create table half (id int);\nselect x from nowhere;\n');
    const failing = migrate({ subgraph: 'org', url, folder });
    await expect(failing).rejects.toThrow(MigrationError);
    await expect(failing).rejects.toThrow('0003_broken failed: relation "nowhere" does not exist (line 2)');
    expect(await run(url, "select to_regclass('half') as half")).toEqual([{ half: null }]);
  });

  it('refuses to go on after a failure until it is marked as rolled back', async () => {
    const { ownerUrl: url } = await aDatabase('org');
    const { folder, write } = await aFolder('org');
    await write('0003_broken', 'select nothing;');
    await expect(migrate({ subgraph: 'org', url, folder })).rejects.toThrow(MigrationError);
    await write('0003_broken', 'select 1;');
    await expect(migrate({ subgraph: 'org', url, folder })).rejects.toThrow(/0003_broken failed before/);
    await markRolledBack({ subgraph: 'org', url, folder, migration: '0003_broken' });
    expect(await migrate({ subgraph: 'org', url, folder })).toEqual(['0003_broken']);
  });

  it('refuses a migration that was edited after it had been applied', async () => {
    const { ownerUrl: url } = await aDatabase('org');
    const { folder, write } = await aFolder('org');
    await write('0001_plumbing', 'select 1;');
    await expect(migrate({ subgraph: 'org', url, folder })).rejects.toThrow(/0001_plumbing was edited/);
  });

  it('refuses a database that is newer than the folder', async () => {
    const { ownerUrl: url } = await aDatabase('org');
    const { folder } = await aFolder('org');
    await rm(join(folder, 'migrations/0002_org'), { recursive: true });
    await expect(migrate({ subgraph: 'org', url, folder })).rejects.toThrow(
      /0002_org .*older than the database/,
    );
  });

  it('is done by the owner only', async () => {
    const { systemUrl: url } = await aDatabase('org');
    await expect(migrate({ subgraph: 'org', url })).rejects.toThrow(
      'ORG_OWNER_DATABASE_URL logs in as taskflow_org_system: only taskflow_org_owner migrates',
    );
  });

  it('from several places at once happens once', async () => {
    const { ownerUrl: url } = await aDatabase('org');
    const { folder, write } = await aFolder('org');
    await write('0003_more', 'create table more (id int primary key);');
    const all = await Promise.all([1, 2, 3].map(() => migrate({ subgraph: 'org', url, folder })));
    expect(all.flat()).toEqual(['0003_more']);
  });
});
