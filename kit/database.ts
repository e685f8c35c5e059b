/**
 * The one door of a service to its database, over whatever client its `data/` uses.
 *
 *   read(tenant, work)          one statement, or several that need not agree
 *   transaction(tenant, work)   all or nothing; `onCommit` afterwards, so that the relay looks for new facts at once
 *
 * Both run for one tenant: the pool puts it into the session of every statement, and row-level security holds it there.
 */
import type pg from 'pg';
import { createSystemPool, type Sql, type Tenant, TenantPool, withTenant } from './tenant-pool.ts';

export interface DatabaseOptions {
  /** As the `_app` role. */
  readonly url: string;
  /** As the `_system` role. */
  readonly systemUrl: string;
  readonly poolSize: number;
  readonly systemPoolSize: number;
  /** Sees the text of every statement that serves a request. */
  readonly onStatement?: ((text: string) => void) | undefined;
  /** Tests only: see TenantPoolOptions. */
  readonly rewriteStatement?: ((text: string) => string) | undefined;
}

/** As much of a Prisma client as the door needs; `Tx` is what works inside a transaction, and outside of one. */
export interface DatabaseClient<Tx> {
  readonly plain: Tx;
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  disconnect(): Promise<void>;
}

export interface Database<Tx> {
  readonly pool: TenantPool;
  readonly system: pg.Pool;
  onCommit(listener: () => void): void;
  read<T>(tenant: Tenant, work: (tx: Tx) => Promise<T>): Promise<T>;
  transaction<T>(tenant: Tenant, work: (tx: Tx) => Promise<T>): Promise<T>;
  /** Rejects while PostgreSQL cannot be reached. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** Opens nothing: connections come with the first statement. `connect` builds the client over the tenant's pool. */
export function openDatabase<Tx>(
  options: DatabaseOptions,
  connect: (pool: TenantPool) => DatabaseClient<Tx>,
): Database<Tx> {
  const { url, systemUrl, poolSize, systemPoolSize, onStatement, rewriteStatement } = options;
  const pool = new TenantPool({
    connectionString: url,
    max: poolSize,
    ...(onStatement ? { onStatement } : {}),
    ...(rewriteStatement ? { rewriteStatement } : {}),
  });
  const system = createSystemPool({ connectionString: systemUrl, max: systemPoolSize });
  const client = connect(pool);
  let committed = () => {};

  return {
    pool,
    system,
    onCommit(listener) {
      committed = listener;
    },
    // Awaited inside: a Prisma promise takes its tenant when it is awaited, not when it is made.
    read: (tenant, work) => withTenant(tenant, async () => await work(client.plain)),
    async transaction(tenant, work) {
      const result = await withTenant(tenant, async () => await client.transaction(work));
      committed();
      return result;
    },
    ping: () => pool.ping(),
    async close() {
      await client.disconnect();
      await Promise.all([pool.end(), system.end()]);
    },
  };
}

/** What runs parameterised SQL within a client's transaction: Prisma's `$queryRawUnsafe`. */
export interface RawClient {
  $queryRawUnsafe<R>(text: string, ...values: unknown[]): Promise<R>;
}

/** The kit's plumbing (outbox, inbox, idempotency) writes through the same transaction as the use case. */
export const sqlOn = (tx: RawClient): Sql => ({
  query: (text, values = []) => tx.$queryRawUnsafe(text, ...values),
});
