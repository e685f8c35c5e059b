/** A migrated database with its pools, for the tests of this folder: the plumbing is the same in all four. */
import { aDatabase as aMigratedDatabase } from '@taskflow/tests/kit/postgres';
import pg from 'pg';
import { afterAll } from 'vitest';
import { createSystemPool, TenantPool, type TenantPoolOptions } from './tenant-pool.ts';

export interface PlumbedDatabase {
  name: string;
  /** Passes every wall. */
  adminUrl: string;
  /** Runs statements on a connection of their own. */
  run(as: 'owner' | 'superuser', sql: string): Promise<pg.QueryResult>;
  app(options?: TenantPoolOptions): TenantPool;
  system(options?: pg.PoolConfig): pg.Pool;
}

/** Call it in beforeAll. Its pools are closed when the file is done. */
export async function aDatabase(): Promise<PlumbedDatabase> {
  const { name, appUrl, systemUrl, ownerUrl, adminUrl } = await aMigratedDatabase('task');
  const pools = new Set<pg.Pool>();
  afterAll(async () => {
    await Promise.all([...pools].map((pool) => pool.ended || pool.end()));
  });
  const keep = <P extends pg.Pool>(pool: P): P => {
    pools.add(pool);
    return pool;
  };
  return {
    ...{ name, adminUrl },
    run: (as, sql) => runAt(as === 'owner' ? ownerUrl : adminUrl, sql),
    app: (options = {}) => keep(new TenantPool({ connectionString: appUrl, ...options })),
    system: (options = {}) => keep(createSystemPool({ connectionString: systemUrl, ...options })),
  };
}

export async function runAt(connectionString: string, sql: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    return await client.query(sql);
  } finally {
    await client.end();
  }
}
