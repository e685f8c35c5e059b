import { Redis, type RedisOptions } from 'ioredis';
import { createKeys, type Keys } from './keys.ts';
import type { Log } from './log.ts';

/**
 * Redis connections by purpose, because one set of options cannot serve all three:
 *
 *   commands    fails fast: nothing is queued while Redis is away, nothing waits longer than its timeout
 *   subscriber  waits for ever: SUBSCRIBE is queued, and channels are subscribed again after a reconnect
 *   blocking()  waits for ever: XREAD BLOCK is sent again after a reconnect; one client per reader
 *
 * All reconnect for ever with jittered back-off. An 'error' event never crashes the process and is logged
 * once per change of state, not once per attempt.
 */
export interface RedisConnections {
  /** Every command rejects at once while Redis is away. `await whenReady()` before the first one at start-up. */
  readonly commands: Redis;
  /** For live.ts only. */
  readonly subscriber: Redis;
  /** A new client for one blocking reader; closed by close(), or earlier with `closeClient`. */
  blocking(name: string): Redis;
  readonly keys: Keys;
  readonly prefix: string;
  /** Resolves when commands can be sent, rejects after `deadlineMs`. */
  whenReady(deadlineMs?: number): Promise<void>;
  /** `up` when commands can be sent now. */
  status(): 'up' | 'down';
  /** Closes every client. Commands in flight are rejected. Safe to call twice. */
  close(): Promise<void>;
}

/** A healthy Redis answers in under a millisecond; two seconds cover a fork for a snapshot on a busy machine. */
const COMMAND_TIMEOUT_MS = 2_000;
/** A half-open socket is destroyed after this long without an answer. Above the command timeout. */
const COMMAND_SOCKET_TIMEOUT_MS = 4_000;
/** Longest BLOCK a reader may use, well under the socket timeout which finds half-open blocking readers. */
export const BLOCK_MS_MAX = 2_000;
const BLOCKING_SOCKET_TIMEOUT_MS = 6_000;
/** A silent subscriber is probed this often; see `probe`. */
const PROBE_INTERVAL_MS = 5_000;
const RETRY_MS_MIN = 50;
const RETRY_MS_MAX = 2_000;

export function createRedis(options: { url: string; prefix?: string; log: Log }): RedisConnections {
  const { url, prefix = '', log } = options;
  const clients = new Set<Redis>();
  const open = (purpose: string, extra: Omit<RedisOptions, 'replyMapping'>): Redis => {
    const client = new Redis(url, { connectTimeout: 5_000, retryStrategy: retryAfterMs, ...extra });
    clients.add(client);
    client.once('end', () => clients.delete(client));
    logStateChanges(client, log, purpose);
    return client;
  };

  const commands = open('commands', {
    commandTimeout: COMMAND_TIMEOUT_MS,
    socketTimeout: COMMAND_SOCKET_TIMEOUT_MS,
    enableOfflineQueue: false,
    // 0: what was in flight when the connection was lost is rejected at once and never sent a second time.
    maxRetriesPerRequest: 0,
  });
  const subscriber = open('subscriber', { maxRetriesPerRequest: null });
  const stopProbe = probe(subscriber);

  return {
    commands,
    subscriber,
    blocking: (name) => open(name, { maxRetriesPerRequest: null, socketTimeout: BLOCKING_SOCKET_TIMEOUT_MS }),
    keys: createKeys(prefix),
    prefix,
    whenReady: (deadlineMs = 10_000) => whenReady(commands, deadlineMs),
    status: () => (commands.status === 'ready' ? 'up' : 'down'),
    async close() {
      stopProbe();
      await Promise.all([...clients].map(closeClient));
    },
  };
}

/** Exponential with full jitter, so that many processes do not return in the same instant. */
function retryAfterMs(attempt: number): number {
  const ceiling = Math.min(RETRY_MS_MIN * 2 ** Math.min(attempt, 10), RETRY_MS_MAX);
  return RETRY_MS_MIN + Math.random() * (ceiling - RETRY_MS_MIN);
}

function logStateChanges(client: Redis, log: Log, purpose: string): void {
  let known: 'starting' | 'up' | 'down' = 'starting';
  const down = (reason: string) => {
    if (known === 'down') return;
    known = 'down';
    log.warn({ redis: purpose, reason }, 'Redis connection lost; retrying');
  };
  client.on('error', (error: Error & { code?: string }) => down(error.code ?? error.message));
  client.on('reconnecting', () => down('connection closed'));
  client.on('ready', () => {
    if (known === 'down') log.info({ redis: purpose }, 'Redis connection is back');
    known = 'up';
  });
}

/** A subscriber only listens, so it never notices a half-open socket by itself: ask, and reconnect on silence. */
function probe(subscriber: Redis): () => void {
  let unanswered = false;
  const timer = setInterval(() => {
    if (subscriber.status !== 'ready') {
      unanswered = false;
      return;
    }
    if (unanswered) {
      unanswered = false;
      subscriber.disconnect(true);
      return;
    }
    unanswered = true;
    subscriber.ping().then(
      () => {
        unanswered = false;
      },
      () => {},
    );
  }, PROBE_INTERVAL_MS);
  timer.unref();
  return () => clearInterval(timer);
}

function whenReady(client: Redis, deadlineMs: number): Promise<void> {
  if (client.status === 'ready') return Promise.resolve();
  return new Promise((resolve, reject) => {
    const settle = (finish: () => void) => {
      clearTimeout(timer);
      client.off('ready', onReady);
      client.off('end', onEnd);
      finish();
    };
    const onReady = () => settle(resolve);
    const onEnd = () => settle(() => reject(new Error('Redis connection was closed')));
    const timer = setTimeout(
      () => settle(() => reject(new Error(`Redis was not reachable within ${deadlineMs} ms`))),
      deadlineMs,
    );
    client.on('ready', onReady);
    client.on('end', onEnd);
  });
}

/**
 * Closes one client; commands in flight or queued are rejected. `client.disconnect()` alone is not enough: called
 * between two attempts to reconnect, it neither ends the client nor rejects what waits (ioredis 6.0).
 */
export function closeClient(client: Redis): Promise<void> {
  if (client.status === 'end') return Promise.resolve();
  return new Promise((resolve) => {
    client.once('end', () => resolve());
    const waiting = client.status === 'reconnecting';
    client.disconnect();
    if (!waiting) return;
    client.connect().catch(() => {});
    client.disconnect();
  });
}
