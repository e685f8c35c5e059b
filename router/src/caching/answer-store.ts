// Where answers are kept: in this process, by bytes, and behind it in Redis, for all replicas.
//
// Redis is a help, never a need: what is late, wrong or away is a miss, and after some of these it is left alone for a while.

import { hash } from 'node:crypto';
import type { Log } from '@taskflow/kit/log';
import type { RedisConnections } from '@taskflow/kit/redis';
import { LRUCache } from 'lru-cache';
import CircuitBreaker from 'opossum';

export interface AnswerStore {
  /** What this process has: JSON text, as it was kept. */
  find(key: string): string | null;
  /** What Redis has, in the order of the keys, which belong to one tenant. Never rejects. */
  fetch(tenant: string, keys: readonly string[]): Promise<(string | null)[]>;
  /** Keeps in both. What is larger than an entry may be is not kept. */
  keep(tenant: string, entries: readonly KeptAnswer[]): void;
  stats(): StoreStats;
  stop(): void;
}

export interface KeptAnswer {
  readonly key: string;
  readonly text: string;
  readonly ttlMs: number;
}

export interface StoreStats {
  readonly entries: number;
  readonly bytes: number;
  readonly bytesMax: number;
  /** Null without Redis. */
  readonly redis: { readonly hits: number; readonly failures: number; readonly isResting: boolean } | null;
}

export interface AnswerStoreOptions {
  bytesMax: number;
  redis: Pick<RedisConnections, 'commands' | 'keys'> | null;
  redisTimeoutMs: number;
  log: Log;
}

/** Keys are hashes; an entry costs about this much beside its text. */
const ENTRY_BYTES = 200;
/** One answer never pushes out more than a hundredth of the rest. */
const SHARE_MAX = 100;
/** A quarter of the last calls failed, four at least: Redis rests for a second, then one call tries. */
const BREAKER = {
  errorThresholdPercentage: 25,
  volumeThreshold: 4,
  resetTimeout: 1_000,
  rollingCountTimeout: 5_000,
};

export function createAnswerStore({ bytesMax, redis, redisTimeoutMs, log }: AnswerStoreOptions): AnswerStore {
  const kept = new LRUCache<string, string>({
    maxSize: Math.max(1, bytesMax),
    maxEntrySize: Math.max(1, Math.ceil(bytesMax / SHARE_MAX)),
    // Twice the length: texts that are not Latin-1 take two bytes a character.
    sizeCalculation: (text) => 2 * text.length + ENTRY_BYTES,
  });
  const remote = redis && createRemote(redis, redisTimeoutMs, log);
  return {
    find: (key) => kept.get(key) ?? null,
    async fetch(tenant, keys) {
      if (!remote) return keys.map(() => null);
      const found = await remote.fetch(tenant, keys);
      return found.map((entry, at) => {
        if (!entry) return null;
        kept.set(keys[at] as string, entry.text, { ttl: entry.ttlMs });
        return entry.text;
      });
    },
    keep(tenant, entries) {
      for (const { key, text, ttlMs } of entries) kept.set(key, text, { ttl: ttlMs });
      remote?.keep(
        tenant,
        entries.filter(({ text }) => 2 * text.length + ENTRY_BYTES <= bytesMax / SHARE_MAX),
      );
    },
    stats: () => ({
      entries: kept.size,
      bytes: kept.calculatedSize,
      bytesMax,
      redis: remote ? remote.stats() : null,
    }),
    stop() {
      remote?.stop();
      kept.clear();
    },
  };
}

interface Found {
  readonly text: string;
  readonly ttlMs: number;
}

function createRemote(
  { commands, keys: names }: NonNullable<AnswerStoreOptions['redis']>,
  timeoutMs: number,
  log: Log,
) {
  const send = (run: () => Promise<unknown>): Promise<unknown> => run();
  const breaker = new CircuitBreaker(send, { ...BREAKER, timeout: timeoutMs });
  let hits = 0;
  let failures = 0;
  breaker.on('open', () => log.warn('Redis is not asked for kept answers for a while'));
  breaker.on('close', () => log.info('Redis is asked for kept answers again'));
  const attempt = async (run: () => Promise<unknown>): Promise<unknown> => {
    try {
      return await breaker.fire(run);
    } catch {
      failures++;
      return null;
    }
  };
  return {
    async fetch(tenant: string, keys: readonly string[]): Promise<(Found | null)[]> {
      const answered = await attempt(() => commands.mget(keys.map((key) => names.cached(tenant, key))));
      const texts = Array.isArray(answered) ? answered : [];
      const found = keys.map((key, at) => unwrapped(key, texts[at]));
      hits += found.filter((one) => one !== null).length;
      return found;
    },
    keep(tenant: string, entries: readonly KeptAnswer[]): void {
      if (entries.length === 0) return;
      void attempt(() => {
        const writing = commands.multi();
        for (const { key, text, ttlMs } of entries) {
          writing.set(names.cached(tenant, key), wrapped(key, text, ttlMs), 'PX', Math.ceil(ttlMs));
        }
        return writing.exec();
      });
    },
    stats: () => ({ hits, failures, isResting: breaker.opened }),
    stop: () => breaker.shutdown(),
  };
}

/** `<until> <checksum> <text>`: the checksum is over the key as well, so that no entry passes for another. */
function wrapped(key: string, text: string, ttlMs: number): string {
  const until = Math.floor(Date.now() + ttlMs);
  return `${until} ${checksum(key, until, text)} ${text}`;
}

/** Null for whatever was not written by `wrapped` for this key, and for what is over. */
function unwrapped(key: string, stored: unknown): Found | null {
  if (typeof stored !== 'string') return null;
  const [, until, sum, text] = /^(\d+) (\S+) ([\s\S]*)$/.exec(stored) ?? [];
  if (until === undefined || sum === undefined || text === undefined) return null;
  const ttlMs = Number(until) - Date.now();
  if (ttlMs <= 0 || sum !== checksum(key, Number(until), text)) return null;
  return { text, ttlMs };
}

const checksum = (key: string, until: number, text: string): string =>
  hash('sha1', `${key}\n${until}\n${text}`, 'base64url');
