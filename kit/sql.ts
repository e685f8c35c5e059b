/**
 * SQL as the kit speaks it: one method, whoever runs it. Under a TenantPool it acts for the tenant of withTenant,
 * under a system pool for nobody in particular.
 */
import pg from 'pg';
import {
  type ConnectCallback,
  deliverHandle,
  ignoreLostConnection,
  lend,
  SESSION_LIMITS,
  STATEMENT_TIMEOUT_MS,
} from './lending.ts';
import { borrowWithin, runWithinDeadline, statementTimeoutMs } from './statement-deadline.ts';

/** What runs SQL: a pool, one transaction, or Prisma's transaction client behind an adapter. */
export interface Sql {
  query<R = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<R[]>;
}

/** The pool as Sql: every statement on its own. */
export function sqlOf(pool: pg.Pool): Sql {
  return sqlOn(pool);
}

/**
 * Runs `work` in one transaction, read committed. Commits when it returns, rolls back when it throws, and throws when
 * the commit turned out to be a rollback because `work` had swallowed the error of a statement.
 */
export function transaction<T>(pool: pg.Pool, work: (sql: Sql) => Promise<T>): Promise<T> {
  return transactionOn(pool, (client) => work(sqlOn(client)));
}

/** transaction over the connection itself, for the kit. */
export async function transactionOn<T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  client.on('error', ignoreLostConnection);
  try {
    await client.query('BEGIN');
    const result = await work(client);
    const { command } = await client.query('COMMIT');
    if (command !== 'COMMIT') {
      throw new Error('the transaction was rolled back: one of its statements had failed');
    }
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    throw error;
  } finally {
    client.removeListener('error', ignoreLostConnection);
    client.release();
  }
}

/**
 * A pool for a `_system` role: relay, retention and named jobs, which work across tenants. Nothing that serves a
 * request may hold one, except for the user service's global tables.
 */
export function createSystemPool(options: pg.PoolConfig): pg.Pool {
  return new SystemPool(options);
}

class SystemPool extends pg.Pool {
  constructor(options: pg.PoolConfig) {
    super({ ...SESSION_LIMITS, ...options });
    this.on('error', ignoreLostConnection);
  }

  override connect(): Promise<pg.PoolClient>;
  override connect(callback: ConnectCallback): void;
  override connect(callback?: ConnectCallback): Promise<pg.PoolClient> | undefined {
    const limitMs = Number(this.options.statement_timeout ?? STATEMENT_TIMEOUT_MS);
    const handle = borrowWithin(super.connect()).then((client) => {
      const run = (statement: pg.QueryConfig) => runFor(client, statement, limitMs);
      return lend(client, runWithinDeadline(client, run, limitMs));
    });
    if (!callback) return handle;
    deliverHandle(handle, callback);
    return undefined;
  }
}

const BEGIN = /^\s*begin\s*$/i;

/** A transaction of a call ends with the call; single statements end by the session's own limit. */
async function runFor(
  client: pg.PoolClient,
  statement: pg.QueryConfig,
  limitMs: number,
): Promise<pg.QueryResult> {
  const timeoutMs = statementTimeoutMs(limitMs);
  if (timeoutMs === limitMs || !BEGIN.test(statement.text)) return client.query(statement);
  const text = `BEGIN; SET LOCAL statement_timeout = ${timeoutMs}`;
  const results = (await client.query(text)) as unknown as pg.QueryResult[];
  return results[0] as pg.QueryResult;
}

function sqlOn(on: Pick<pg.PoolClient, 'query'>): Sql {
  return {
    async query<R>(text: string, values: readonly unknown[] = []) {
      const { rows } = await on.query({ text, values: [...values] });
      return rows as R[];
    },
  };
}
