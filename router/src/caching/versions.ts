// How long what is kept of a tenant counts: a version per tenant and subgraph, part of every key, so that what moves it makes
// everything unreachable that was kept before.
//
//   unknown ──listen to live:<subgraph>:{org}, read the versions in Redis──▶ known ──▶ `<seq>.<generation>`
//      ▲                                                                       │ a fact: seq, of the relay, the same for all replicas
//      └── forgotten, Redis lost ◀──────────────────────────────────────────────┤ reconnected: hints may be missing: generation + 1
//                                                                              └ a mutation here: nothing is kept or found while it
//                                                                                runs, generation + 1 at its end
//
// Promised: at this replica a reader who has seen a mutation's answer finds nothing that was kept before it. At others as
// soon as the fact's hint arrives, which is when subscriptions hear of it, or at once with `taskflow-min-sync-id`, which
// passes every cache. A lost hint costs at most the age of what is kept. While hints cannot arrive nothing is found.

import { createTroubles } from '@taskflow/kit/background';
import type { Live } from '@taskflow/kit/live';
import type { Log } from '@taskflow/kit/log';
import type { RedisConnections } from '@taskflow/kit/redis';
import type { Epochs } from '../scope.ts';

export interface Versions {
  /** Null: not known now; nothing may be kept or found. Asks for it in the background. */
  of(tenant: string, subgraph: string): string | null;
  /** Something is being written there; the result says that it has ended, whatever came of it. */
  write(tenant: string, subgraph: string): () => void;
  stop(): void;
}

/** Without tenants there are no facts: what is kept lives its time, or until this router writes to the subgraph. */
export function createLocalVersions(epochs: Pick<Epochs, 'move'>): Versions {
  const counts = new Map<string, number>();
  const writing = new Map<string, number>();
  const add = (to: Map<string, number>, key: string, by: number) => to.set(key, (to.get(key) ?? 0) + by);
  return {
    of: (_tenant, subgraph) => (writing.get(subgraph) ? null : String(counts.get(subgraph) ?? 0)),
    write(tenant, subgraph) {
      add(writing, subgraph, 1);
      return () => {
        epochs.move(tenant);
        add(writing, subgraph, -1);
        add(counts, subgraph, 1);
      };
    },
    stop() {},
  };
}

export interface TenantVersionsOptions {
  redis: Pick<RedisConnections, 'commands' | 'keys' | 'status'>;
  live: Pick<Live, 'listen' | 'isConnected'>;
  /** What is found no more must not be joined while it is still on its way. */
  epochs: Pick<Epochs, 'move'>;
  log: Log;
}

interface Entry {
  readonly tenant: string;
  readonly subgraph: string;
  /** Of the newest fact that is known; of what happened beside facts. */
  seq: number;
  generation: number;
  /** The generation has to grow by this before anything may be found. */
  owed: number;
  isListening: boolean;
  /** When Redis was read, as performance.now() tells it; null: not yet, or not since it was lost. */
  readAt: number | null;
  writing: number;
  underway: Promise<void> | null;
  leave: (() => Promise<void>) | null;
}

/** One channel each: 5,000 tenants with entities of one subgraph. The longest unused is forgotten. */
const ENTRIES_MAX = 5_000;
/** Other replicas count generations, too: not to know of them costs a chance to share what they keep. */
const REREAD_MS = 5_000;
/** Longer than anything is kept. */
const TTL_S = 86_400;
/** Between two attempts for a tenant while Redis is away. */
const RETRY_MS = 500;

export function createTenantVersions({ redis, live, epochs, log }: TenantVersionsOptions): Versions {
  const entries = new Map<string, Entry>();
  const troubles = createTroubles(log);
  let isStopped = false;

  function entryOf(tenant: string, subgraph: string): Entry {
    const key = `${subgraph}:${tenant}`;
    const known = entries.get(key);
    if (known) {
      entries.delete(key);
      entries.set(key, known);
      return known;
    }
    const entry: Entry = {
      ...{ tenant, subgraph, seq: 0, generation: 0, owed: 0 },
      ...{ isListening: false, readAt: null, writing: 0, underway: null, leave: null },
    };
    entries.set(key, entry);
    if (entries.size > ENTRIES_MAX) forgetOne();
    return entry;
  }

  /** Never one that still owes something: what it has written would be unsaid. */
  function forgetOne(): void {
    for (const [key, entry] of entries) {
      if (entry.owed > 0 || entry.writing > 0 || entry.underway) continue;
      entries.delete(key);
      void entry.leave?.();
      return;
    }
  }

  const isReady = ({ isListening, readAt, writing, owed }: Entry): boolean =>
    isListening &&
    readAt !== null &&
    writing === 0 &&
    owed === 0 &&
    redis.status() === 'up' &&
    live.isConnected();

  function catchUp(entry: Entry): void {
    if (entry.underway || isStopped) return;
    entry.underway = troubles
      .watch('reading the versions of kept answers', () => listenAndRead(entry))
      .then(async (done) => {
        if (done === undefined) await new Promise((resolve) => setTimeout(resolve, RETRY_MS).unref());
      })
      .finally(() => {
        entry.underway = null;
      });
  }

  async function listenAndRead(entry: Entry): Promise<true> {
    const { tenant, subgraph } = entry;
    if (!entry.isListening) {
      entry.leave = await live.listen(
        redis.keys.liveChannel(subgraph, tenant),
        (hint) => onHint(entry, hint),
        () => missed(entry),
      );
      entry.isListening = true;
    }
    const { owed } = entry;
    const key = redis.keys.cacheVersions(tenant);
    const asked = redis.commands.multi();
    asked.zincrby(key, owed, `${subgraph}+`);
    asked.zscore(key, subgraph);
    asked.expire(key, TTL_S);
    const [generation, seq] = (await asked.exec()) ?? [];
    if (!generation || !seq || generation[0] || seq[0])
      throw generation?.[0] ?? seq?.[0] ?? new Error('no answer');
    entry.generation = Math.max(entry.generation, Number(generation[1]));
    entry.seq = Math.max(entry.seq, Number(seq[1] ?? 0));
    entry.owed -= owed;
    entry.readAt = performance.now();
    return true;
  }

  function onHint(entry: Entry, hint: unknown): void {
    const seq = Number((hint as { seq?: unknown } | null)?.seq);
    if (!Number.isSafeInteger(seq) || seq <= entry.seq) return;
    entry.seq = seq;
    epochs.move(entry.tenant);
    // For replicas that do not listen yet. GT: whoever is behind takes nothing back.
    redis.commands
      .multi()
      .zadd(redis.keys.cacheVersions(entry.tenant), 'GT', seq, entry.subgraph)
      .expire(redis.keys.cacheVersions(entry.tenant), TTL_S)
      .exec()
      .catch(() => {
        entry.readAt = null;
      });
  }

  /** Hints may have been lost meanwhile. */
  function missed(entry: Entry): void {
    entry.owed++;
    epochs.move(entry.tenant);
    catchUp(entry);
  }

  return {
    of(tenant, subgraph) {
      if (tenant === '') return null;
      const entry = entryOf(tenant, subgraph);
      if (!isReady(entry)) {
        if (entry.writing === 0) catchUp(entry);
        return null;
      }
      if (performance.now() - (entry.readAt ?? 0) > REREAD_MS) catchUp(entry);
      return `${entry.seq}.${entry.generation}`;
    },
    write(tenant, subgraph) {
      if (tenant === '') return () => {};
      const entry = entryOf(tenant, subgraph);
      entry.writing++;
      return () => {
        epochs.move(tenant);
        entry.writing--;
        entry.owed++;
        catchUp(entry);
      };
    },
    stop() {
      isStopped = true;
      for (const { leave } of entries.values()) void leave?.();
      entries.clear();
    },
  };
}
