/**
 * Is this the fault of the infrastructure, so that the same call may succeed when it is back?
 *
 * True for errors that say so (`retryable: true`), for lost or refused connections to PostgreSQL, Redis and the
 * network, and for transactions PostgreSQL asks to repeat. Looks through `cause`, and into what Prisma wraps around
 * its adapter's error. Everything else (a constraint, a bug, an invalid fact) would fail again.
 */
export function isRetryable(error: unknown): boolean {
  let current = error;
  for (let depth = 0; depth < CAUSES_MAX && typeof current === 'object' && current !== null; depth++) {
    const { retryable, code, originalCode, kind, name, message, cause, meta } = current as Partial<
      Record<string, unknown>
    >;
    if (retryable === true) return true;
    if (isRetryableCode(code) || isRetryableCode(originalCode)) return true;
    if (LOST_KINDS.has(String(kind))) return true;
    if (name === 'MaxRetriesPerRequestError') return true;
    if (typeof message === 'string' && LOST_CONNECTION.test(message)) return true;
    current = cause ?? (meta as { driverAdapterError?: unknown } | undefined)?.driverAdapterError;
  }
  return false;
}

const CAUSES_MAX = 5;

const NETWORK = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

/** serialization_failure, deadlock_detected, lock_not_available, too_many_connections, shutdown and start-up. */
const POSTGRES = new Set(['40001', '40P01', '55P03', '53300', '57P01', '57P02', '57P03']);
/** Class 08: connection exceptions. */
const POSTGRES_CONNECTION = /^08[0-9A-Z]{3}$/;
/** What Prisma's adapter calls a lost connection; it has no code. */
const LOST_KINDS = new Set([
  'DatabaseNotReachable',
  'ConnectionClosed',
  'SocketTimeout',
  'TooManyConnections',
]);
/** Unreachable, timed out, closed, pool exhausted, no transaction in time, write conflict. */
const PRISMA = new Set(['P1001', 'P1002', 'P1008', 'P1017', 'P2024', 'P2028', 'P2034']);

/** pg and ioredis give these no code. */
const LOST_CONNECTION =
  /^(Connection is closed\.?|Connection terminated|Client (has encountered a connection error|was closed) and is not queryable|timeout exceeded when trying to connect|Command timed out|Stream isn't writeable)/;

function isRetryableCode(code: unknown): boolean {
  if (typeof code !== 'string') return false;
  return NETWORK.has(code) || POSTGRES.has(code) || PRISMA.has(code) || POSTGRES_CONNECTION.test(code);
}
