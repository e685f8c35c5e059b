// Documents by the SHA-256 of their text, so that clients may send the hash alone.
//
//   find   this process ─▶ Redis, where there is one ─▶ not known: the client sends the text once more
//   keep   both, for a text that has passed the limits and is valid
//
// Bounded in bytes here and by time in Redis. Redis that is away, or that answers another text, is a miss. The hash is
// that of the text alone: whoever has it could send the text itself, so nothing here belongs to a tenant.

import { createHash } from 'node:crypto';
import type { Log } from '@taskflow/kit/log';
import type { RedisConnections } from '@taskflow/kit/redis';
import { LRUCache } from 'lru-cache';

export interface PersistedDocuments {
  /** The text whose hash (hex) this is. Never rejects. */
  find(hash: string): string | undefined | Promise<string | undefined>;
  /** For texts whose hash was compared. Does not wait for Redis. */
  keep(hash: string, text: string): void;
}

export interface PersistedDocumentsDeps {
  /** Bytes of texts kept in this process. */
  bytesMax: number;
  redis: Pick<RedisConnections, 'commands' | 'keys'> | null;
  log: Log;
}

/** A day after it was last asked for by a replica that did not know it; clients send the text again without being told to. */
const REDIS_TTL_S = 86_400;
/** A Redis that hangs holds up a request for this long; the client's second request is quicker than a longer wait. */
const REDIS_TIMEOUT_MS = 250;
/** What an entry costs beside its text: key, links of the list. */
const ENTRY_BYTES = 200;

export function createPersistedDocuments({
  bytesMax,
  redis,
  log,
}: PersistedDocumentsDeps): PersistedDocuments {
  const known = new LRUCache<string, string>({
    maxSize: Math.max(1, bytesMax),
    sizeCalculation: (text) => Buffer.byteLength(text) + ENTRY_BYTES,
  });

  async function findInRedis({ commands, keys }: NonNullable<typeof redis>, hash: string) {
    const asked = commands.getex(keys.persistedDocument(hash), 'EX', REDIS_TTL_S).catch(() => null);
    const { promise: late, resolve } = Promise.withResolvers<null>();
    const timer = setTimeout(resolve, REDIS_TIMEOUT_MS, null);
    const text = await Promise.race([asked, late]).finally(() => clearTimeout(timer));
    if (text === null || hashOf(text) !== hash) return undefined;
    known.set(hash, text);
    return text;
  }

  return {
    find(hash) {
      const text = known.get(hash);
      if (text !== undefined || !redis || !HASH.test(hash)) return text;
      return findInRedis(redis, hash);
    },
    keep(hash, text) {
      if (known.has(hash)) return;
      known.set(hash, text);
      redis?.commands
        .set(redis.keys.persistedDocument(hash), text, 'EX', REDIS_TTL_S)
        .catch((error) => log.debug({ err: error }, 'a document was not kept in Redis'));
    },
  };
}

/** Nothing else a client invents becomes a part of a key. */
const HASH = /^[0-9a-f]{64}$/;

/** As automatic persisted queries name a text. */
export function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
