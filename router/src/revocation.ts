// What was revoked before it expired, known on this replica.
//
//   user service ── channel control:{org} { user, sid?, standing? } ──▶ told at once
//                └─ keys that live as long as a token ───────────────▶ read at a token's first sight and in every second
//
// A missed message costs a second at most. Redis away: tokens are verified alone for the rest of their ten minutes, and
// what is known as revoked stays so. A key that is gone says nothing; what is good again says so (kit/control.ts).

import { controlOf, EVERYBODY, type Standing, standingOf } from '@taskflow/kit/control';
import type { Log } from '@taskflow/kit/log';
import type { RedisConnections } from '@taskflow/kit/redis';
import { LRUCache } from 'lru-cache';
import type { AccessToken } from './tokens.ts';

/** Why a token is no longer good: below the member's epoch a refresh helps; revoked is also who was suspended or removed. */
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

/** With the time that a reading takes, within the second that is promised. */
const READ_INTERVAL_MS = 800;
/** A token's first request waits this long for Redis at most; the next reading catches up. */
const FIRST_SIGHT_MS = 250;
/** Longer than any access token lives (10 minutes, and clocks that differ). */
const REMEMBERED_MS = 900_000;
/** Of one replica; beyond it the least recently used are only read at first sight. */
const SESSIONS_MAX = 20_000;

export function createRevocation({ redis, channels, log }: RevocationOptions): Revocation {
  const revokedSessions = new LRUCache<string, true>({ max: SESSIONS_MAX, ttl: REMEMBERED_MS });
  /** Of members by `org:user`, of organisations by `org`. */
  const standings = new LRUCache<string, Standing>({ max: SESSIONS_MAX, ttl: REMEMBERED_MS });
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

  function noteSession(orgId: string, sessionId: string): void {
    const key = `${orgId}:${sessionId}`;
    const isNews = !revokedSessions.has(key);
    revokedSessions.set(key, true);
    if (isNews) tell(orgId);
  }

  /** Of two standings the one with the higher number counts, however they arrive. */
  function noteStanding(orgId: string, userId: string, standing: Standing): void {
    const key = userId === EVERYBODY ? orgId : `${orgId}:${userId}`;
    const known = standings.get(key);
    if (known && known.number > standing.number) return;
    standings.set(key, standing);
    if (known?.number !== standing.number || known.isSuspended !== standing.isSuspended) tell(orgId);
  }

  function tell(orgId: string): void {
    for (const listener of listeners) listener(orgId);
  }

  async function read(batch: readonly Session[]): Promise<void> {
    if (batch.length === 0 || redis.status() !== 'up') return;
    const asked = redis.commands.pipeline();
    for (const { orgId, userId, sessionId } of batch) {
      const { revokedKey, memberStanding, organizationStanding } = redis.keys;
      asked.mget(revokedKey(orgId, sessionId), memberStanding(orgId, userId), organizationStanding(orgId));
    }
    const answers = (await asked.exec()) ?? [];
    for (const [at, { orgId, userId, sessionId }] of batch.entries()) {
      const [error, found] = answers[at] ?? [];
      if (error || !Array.isArray(found)) continue;
      if (found[0] != null) noteSession(orgId, sessionId);
      const [member, organization] = [standingOf(found[1]), standingOf(found[2])];
      if (member) noteStanding(orgId, userId, member);
      if (organization) noteStanding(orgId, EVERYBODY, organization);
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
      if (told?.sid) noteSession(orgId, told.sid);
      if (told?.standing) noteStanding(orgId, told.user, told.standing);
    };
    const stopping = channels.listen(redis.keys.controlChannel(orgId), heard, readAll);
    stopping.catch(() => watched.delete(orgId));
    watched.set(orgId, stopping);
  }

  return {
    check({ viewer: { orgId, userId, sessionId }, epoch }) {
      if (revokedSessions.has(`${orgId}:${sessionId}`)) return 'SESSION_REVOKED';
      if (standings.get(orgId)?.isSuspended) return 'SESSION_REVOKED';
      const member = standings.get(`${orgId}:${userId}`);
      // A token of a newer epoch proves that the member was readmitted since.
      if (!member || epoch > member.number) return null;
      if (member.isSuspended) return 'SESSION_REVOKED';
      return epoch < member.number ? 'TOKEN_EXPIRED' : null;
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

function within(ms: number, work: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
