/**
 * Statements within the deadline of a call.
 *
 *   before    none is begun when the time is over; only ROLLBACK always is. COMMIT is a statement like the others: what
 *             is not committed in time is rolled back.
 *   during    statement_timeout is what is left: set with the tenant in the same round trip, or with BEGIN; within a
 *             transaction again when it has become much too long
 *   caller    of a read left: a statement that still runs a moment later is cancelled over a connection of its own, and its
 *             connection is closed, so that the cancel cannot reach the next borrower's statement
 */
import pg from 'pg';
import { currentDeadline, type Deadline, DeadlineError } from './deadline.ts';
import type { Run } from './lending.ts';

/** A statement was not sent: the connection is as it was. */
export class NotBegunError extends DeadlineError {}

const ROLLBACK = /^\s*rollback\b/i;
/** Most statements are over by then, and a cancel costs two new connections. */
const CANCEL_AFTER_MS = 100;
/** The timeout of a transaction is told again when this share of it has passed. */
const STALE_SHARE = 0.1;

/** What PostgreSQL is told, in milliseconds; `limitMs` where there is no deadline, or a later one. */
export function statementTimeoutMs(limitMs: number): number {
  const deadline = currentDeadline();
  if (!deadline) return limitMs;
  return Math.max(1, Math.min(limitMs, Math.ceil(deadline.leftMs)));
}

/** Waits for a connection, no longer than the deadline; one that comes later goes back by itself. */
export function borrowWithin(taking: Promise<pg.PoolClient>): Promise<pg.PoolClient> {
  const deadline = currentDeadline();
  if (!deadline || deadline.at === Number.POSITIVE_INFINITY) return taking;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(giveUp, Math.max(0, deadline.leftMs));
    let isLate = false;
    function giveUp(): void {
      isLate = true;
      settle();
      reject(new DeadlineError('no database connection before the deadline'));
    }
    function settle(): void {
      clearTimeout(timer);
      deadline?.cancellation.offCancel(giveUp);
    }
    taking.then(
      (client) => {
        if (isLate) return client.release();
        settle();
        resolve(client);
      },
      (error) => {
        settle();
        reject(error);
      },
    );
    deadline.cancellation.onCancel(giveUp);
  });
}

/**
 * `run` within the deadline of whoever asks. One for each borrowed connection: it remembers what its transaction was told.
 */
export function runWithinDeadline(client: pg.PoolClient, run: Run, limitMs: number): Run {
  let toldMs = limitMs;

  async function guarded(deadline: Deadline, statement: pg.QueryConfig): Promise<pg.QueryResult> {
    if (ROLLBACK.test(statement.text)) return run(statement);
    try {
      deadline.check();
    } catch (error) {
      throw new NotBegunError((error as Error).message);
    }
    if (client.getTransactionStatus() === 'T') await tellAgain(deadline);
    else toldMs = statementTimeoutMs(limitMs);
    return cancellable(client, deadline, run(statement));
  }

  async function tellAgain(deadline: Deadline): Promise<void> {
    const leftMs = Math.ceil(deadline.leftMs);
    const endsAfterMs = toldMs - leftMs;
    if (endsAfterMs < toldMs * STALE_SHARE || leftMs >= limitMs) return;
    toldMs = leftMs;
    await client.query(`SET LOCAL statement_timeout = ${Math.max(1, leftMs)}`);
  }

  return (statement) => {
    const deadline = currentDeadline();
    return deadline ? guarded(deadline, statement) : run(statement);
  };
}

async function cancellable(
  client: pg.PoolClient,
  deadline: Deadline,
  running: Promise<pg.QueryResult>,
): Promise<pg.QueryResult> {
  let timer: NodeJS.Timeout | undefined;
  let wasCancelled = false;
  const cancel = () => {
    timer = setTimeout(() => {
      wasCancelled = true;
      cancelStatement(client).catch(() => {}); // the statement's own timeout is the second way to end it
    }, CANCEL_AFTER_MS);
  };
  deadline.cancellation.onCancel(cancel);
  try {
    const result = await running;
    if (wasCancelled) throw new DeadlineError('the caller has left');
    return result;
  } catch (error) {
    // Not the driver's error: the connection is then not kept.
    throw wasCancelled ? new DeadlineError('the caller has left', { cause: error }) : error;
  } finally {
    clearTimeout(timer);
    deadline.cancellation.offCancel(cancel);
  }
}

type Addressed = pg.PoolClient & { processID: number; connectionParameters: pg.ClientConfig };

/** Over a connection of its own: the pool may be full of what is to be cancelled. The role may end its own statements. */
async function cancelStatement(client: pg.PoolClient): Promise<void> {
  const { processID, connectionParameters } = client as Addressed;
  const { host, port, database, user, ssl } = connectionParameters;
  const password = (client as unknown as { password?: string | null }).password ?? undefined;
  const canceller = new pg.Client({
    ...{ host, port, database, user, ssl, connectionTimeoutMillis: 1_000, query_timeout: 1_000 },
    ...(password === undefined ? {} : { password }),
  } as pg.ClientConfig);
  canceller.on('error', () => {});
  await canceller.connect();
  try {
    await canceller.query('select pg_cancel_backend($1)', [processID]);
  } finally {
    await canceller.end();
  }
}
