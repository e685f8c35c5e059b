// What was revoked before it expired, known on this replica.
//
//   user service ── channel control:{org} { user, sid?, minEpoch? } ──▶ told at once
//                └─ keys that live as long as a token ───────────────▶ read at a token's first sight and once a second
//
// A missed message costs a second. Redis away: tokens are verified alone for the rest of their ten minutes, and what is
// known as revoked stays so.

import type { Log } from '@taskflow/kit/log';
import type { RedisConnections } from '@taskflow/kit/redis';
import { LRUCache } from 'lru-cache';
import type { AccessToken } from './tokens.ts';

/** Why a token is no longer good: below the member's epoch a refresh helps, a revoked session has ended. */
export type RevocationReason = 'TOKEN_EXPIRED' | 'SESSION_REVOKED';

export interface Revocation {
  check(token: AccessToken): RevocationReason | null;
  /** Reads what is known about a token seen for the first time, and watches its organisation. Never rejects. */
  learn(token: AccessToken): Promise<void>;
  /** Called when something of an organisation was revoked: its open operations should be checked again. */
  onRevoked(listener: (orgId: string) => void): () => void;
  start(): void;
  stop(): void;
}

/** What revocation needs of kit/live: counted subscriptions to channels. */
export interface ControlChannels {
  listen(
    channel: string,
    onMessage: (message: unknown) => void,
    onReconnect?: () => void,
  ): Promise<() => Promise<void>>;
}

export interface RevocationOptions {
  redis: Pick<RedisConnections, 'commands' | 'keys' | 'status'>;
  channels: ControlChannels;
  log: Log;
}

interface Session {
  orgId: string;
  userId: string;
  sessionId: string;
}

const READ_INTERVAL_MS = 1_000;
/** A token's first request waits this long for Redis at most; the next second's reading catches up. */
const FIRST_SIGHT_MS = 250;
/** Longer than any access token lives (10 minutes, and clocks that differ). */
const REMEMBERED_MS = 900_000;
/** Of one replica; beyond it the least recently used are only read at first sight. */
const SESSIONS_MAX = 20_000;

export function createRevocation({ redis, channels, log }: RevocationOptions): Revocation {
  const revokedSessions = new LRUCache<string, true>({ max: SESSIONS_MAX, ttl: REMEMBERED_MS });
  const minEpochs = new LRUCache<string, number>({ max: SESSIONS_MAX, ttl: REMEMBERED_MS });
  const sessions = new LRUCache<string, Session>({ max: SESSIONS_MAX });
  const watched = new LRUCache<string, Promise<() => Promise<void>>>({
    max: SESSIONS_MAX,
    ttl: REMEMBERED_MS,
    updateAgeOnGet: true,
    dispose: (stopping) => void stopping.then((stop) => stop()).catch(() => {}),
  });
  const listeners = new Set<(orgId: string) => void>();
  let timer: NodeJS.Timeout | null = null;
  let isReading = false;

  function note(session: Omit<Session, 'sessionId'> & { sessionId?: string }, minEpoch: number | null): void {
    const { orgId, userId, sessionId } = session;
    const person = `${orgId}:${userId}`;
    const isNews =
      (sessionId !== undefined && !revokedSessions.has(`${orgId}:${sessionId}`)) ||
      (minEpoch !== null && minEpoch > (minEpochs.get(person) ?? 0));
    if (sessionId !== undefined) revokedSessions.set(`${orgId}:${sessionId}`, true);
    if (minEpoch !== null) minEpochs.set(person, Math.max(minEpoch, minEpochs.get(person) ?? 0));
    if (isNews) for (const listener of listeners) listener(orgId);
  }

  async function read(batch: readonly Session[]): Promise<void> {
    if (batch.length === 0 || redis.status() !== 'up') return;
    const asked = redis.commands.pipeline();
    for (const { orgId, userId, sessionId } of batch) {
      asked.mget(redis.keys.revokedKey(orgId, sessionId), redis.keys.minEpoch(orgId, userId));
    }
    const answers = (await asked.exec()) ?? [];
    for (const [at, session] of batch.entries()) {
      const [error, found] = answers[at] ?? [];
      if (error || !Array.isArray(found)) continue;
      const [revoked, minEpoch] = found as (string | null)[];
      const { orgId, userId, sessionId } = session;
      if (revoked != null) note({ orgId, userId, sessionId }, null);
      if (minEpoch != null && Number.isFinite(Number(minEpoch))) note({ orgId, userId }, Number(minEpoch));
    }
  }

  function readAll(): void {
    if (isReading) return;
    isReading = true;
    const all = [...sessions.values()];
    for (const { orgId } of all) watch(orgId);
    read(all)
      .catch((error) => log.debug({ err: error }, 'control keys could not be read'))
      .finally(() => {
        isReading = false;
      });
  }

  function watch(orgId: string): void {
    // While Redis is away the wish is not queued: the next second's reading comes back to it.
    if (watched.get(orgId) || redis.status() !== 'up') return;
    const heard = (message: unknown) => {
      const told = controlOf(message);
      if (told)
        note({ orgId, userId: told.userId, ...(told.sid ? { sessionId: told.sid } : {}) }, told.minEpoch);
    };
    const stopping = channels.listen(redis.keys.controlChannel(orgId), heard, readAll);
    stopping.catch(() => watched.delete(orgId));
    watched.set(orgId, stopping);
  }

  return {
    check({ viewer, epoch }) {
      if (revokedSessions.has(`${viewer.orgId}:${viewer.sessionId}`)) return 'SESSION_REVOKED';
      return epoch < (minEpochs.get(`${viewer.orgId}:${viewer.userId}`) ?? 0) ? 'TOKEN_EXPIRED' : null;
    },
    async learn({ viewer: { orgId, userId, sessionId }, expiresAt }) {
      const session = { orgId, userId, sessionId };
      sessions.set(`${orgId}:${sessionId}`, session, { ttl: Math.max(1, expiresAt - Date.now()) });
      watch(orgId);
      await within(FIRST_SIGHT_MS, read([session])).catch(() => {});
    },
    onRevoked(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    start() {
      timer ??= setInterval(readAll, READ_INTERVAL_MS).unref();
    },
    stop() {
      if (timer) clearInterval(timer);
      timer = null;
      watched.clear();
    },
  };
}

/** For routers without accounts: nothing is ever revoked. */
export function createNoRevocation(): Revocation {
  return { check: () => null, learn: async () => {}, onRevoked: () => () => {}, start() {}, stop() {} };
}

function controlOf(message: unknown): { userId: string; sid: string | null; minEpoch: number | null } | null {
  let told = message;
  try {
    if (typeof told === 'string') told = JSON.parse(told);
  } catch {
    return null;
  }
  if (typeof told !== 'object' || told === null) return null;
  const { user, userId = user, sid, minEpoch } = told as Record<string, unknown>;
  if (typeof userId !== 'string') return null;
  return {
    userId,
    sid: typeof sid === 'string' ? sid : null,
    minEpoch: typeof minEpoch === 'number' ? minEpoch : null,
  };
}

function within(ms: number, work: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
