/**
 * A borrowed connection. pg-pool lends the client itself, so a borrower that kept it can run statements in, and give
 * back, the next borrower's connection. Here each borrower gets a handle:
 *
 *   open ── release() ──▶ closed: every further query is rejected, a second release() does nothing
 *
 * Invariant: what returns to the pool is idle, outside a transaction, and was not broken; anything else is destroyed.
 * Prisma needs both: it returned connections in the middle of a transaction (prisma/orm#29719) and releases twice
 * when a COMMIT times out (prisma/orm#29952).
 */
import pg from 'pg';
import { NotBegunError } from './statement-deadline.ts';

export type Run = (statement: pg.QueryConfig) => Promise<pg.QueryResult>;
export type Settle = (error: Error | undefined, result: pg.QueryResult) => void;
export type ConnectCallback = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  done: (release?: Error | boolean) => void,
) => void;

/**
 * PostgreSQL ends what hangs, before a client does: a client that gives up leaves a transaction behind. The slowest
 * statement we mean to answer is a search of one second; five leave room for a busy machine. The same for waiting
 * for a connection: after five seconds the request is past its deadline.
 */
export const STATEMENT_TIMEOUT_MS = 5_000;

export const SESSION_LIMITS: pg.PoolConfig = {
  statement_timeout: STATEMENT_TIMEOUT_MS,
  idle_in_transaction_session_timeout: 5_000,
  connectionTimeoutMillis: 5_000,
  keepAlive: true,
};

/**
 * After these SQL states the connection is not worth keeping: lost, shutting down, internal error, or it holds a
 * prepared statement that has vanished (26000) or no longer fits its table after a migration (0A000).
 */
const ENDS_CONNECTION = /^(08...|57P..|XX...|25P03|26000|0A000)$/;

/** Lends `client`, just taken from its pool, through `run`. The caller listens to its errors while it is lent. */
export function lend(client: pg.PoolClient, run: Run): pg.PoolClient {
  // Read now: the pool puts another function here for the next borrower.
  const giveBack = client.release;
  let isOpen = true;
  let isBroken = false;

  const attempt = async (statement: pg.QueryConfig) => {
    if (!isOpen) throw new Error('this connection was already released');
    try {
      return await run(statement);
    } catch (error) {
      if (error instanceof NotBegunError) throw error;
      if (!(error instanceof pg.DatabaseError) || ENDS_CONNECTION.test(error.code ?? '')) isBroken = true;
      else await whenReady(client);
      // The driver's stack ends in a socket handler; this one leads to the caller.
      if (error instanceof Error) Error.captureStackTrace(error);
      throw error;
    }
  };
  const query = (config: unknown, values?: unknown, callback?: unknown) => {
    const [statement, settle] = statementOf(config, values, callback);
    return deliver(attempt(statement), settle);
  };
  const release = (error?: Error | boolean) => {
    if (!isOpen) return;
    isOpen = false;
    giveBack(error || isBroken || !isIdle(client) || undefined);
  };
  return new Proxy(client, {
    get(target, key) {
      if (key === 'query') return query;
      if (key === 'release') return release;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

function isIdle(client: pg.PoolClient): boolean {
  return isReady(client) && client.getTransactionStatus() === 'I';
}

/** pg's own field: false from a statement's submission until the server is ready for the next. */
function isReady(client: pg.PoolClient): boolean {
  return (client as pg.PoolClient & { readyForQuery?: boolean }).readyForQuery !== false;
}

/**
 * pg rejects a statement when the error arrives; the state of the transaction follows, often in the next packet.
 * Released in between, every connection would look busy and be thrown away after a mere unique violation.
 */
function whenReady(client: pg.PoolClient): Promise<void> {
  if (isReady(client)) return Promise.resolve();
  const { connection } = client;
  return new Promise((resolve) => {
    const done = () => {
      connection.off('readyForQuery', done);
      connection.off('end', done);
      resolve();
    };
    connection.once('readyForQuery', done);
    connection.once('end', done);
  });
}

/** The argument shapes of pg's query: text or config, values or none, callback or promise. */
export function statementOf(
  config: unknown,
  values: unknown,
  callback: unknown,
): [pg.QueryConfig, Settle | undefined] {
  const settle = (typeof values === 'function' ? values : callback) as Settle | undefined;
  const statement = typeof config === 'string' ? { text: config } : { ...(config as pg.QueryConfig) };
  if (typeof statement.text !== 'string' || 'submit' in statement || 'submit' in Object(config)) {
    throw new TypeError('this pool runs statements only: no cursors, no streams');
  }
  if (Array.isArray(values)) statement.values = values;
  return [statement, settle];
}

export function deliver(
  answer: Promise<pg.QueryResult>,
  settle: Settle | undefined,
): Promise<pg.QueryResult> | undefined {
  if (!settle) return answer;
  answer.then(
    (result) => settle(undefined, result),
    // pg's own callbacks get no result with an error either; its types say otherwise.
    (error: Error) => settle(error, undefined as unknown as pg.QueryResult),
  );
  return undefined;
}

/** Calls back the way pg-pool does. */
export function deliverHandle(handle: Promise<pg.PoolClient>, callback: ConnectCallback): void {
  handle.then(
    (client) => callback(undefined, client, client.release),
    (error: Error) => callback(error, undefined, () => {}),
  );
}

/**
 * Unheard, an 'error' event ends the process. On an idle connection there is nothing to do: the pool has dropped it
 * and the next borrower gets a new one. On a lent one the statement in flight is rejected with the reason.
 */
export function ignoreLostConnection(): void {}
