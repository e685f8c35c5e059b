import type { Redis } from 'ioredis';
import { groupOf, WORK_FIELD, WORK_PARTITIONS } from './keys.ts';
import type { Log } from './log.ts';
import type { Fact } from './outbox.ts';
import { closeClient, type RedisConnections } from './redis.ts';
import { createLeases, type Lease } from './stream-leases.ts';
import { type Entry, openPartition, type PartitionReader, UnreadableError } from './stream-partition.ts';

/**
 * A service's consumption of work streams: at least once, in order per aggregate, shared by its replicas.
 *
 *   every RENEW_MS   leases are renewed, free ones taken up to ceil(all / alive), surplus ones finished and released
 *   per lease        a PartitionReader (stream-partition.ts) applies and acknowledges, in order
 *   one connection   XREAD BLOCK over all partitions held tells which have something new and pokes their readers
 *
 * The blocking read is only a bell: it runs without the group, so that a consumer which has lost a lease cannot
 * take entries out of a partition by it. What is applied is read by the readers, under the lease, inside Redis.
 * The bell's second reading of an entry costs some bandwidth and saves any need to interrupt it.
 *
 * One XREAD over several streams needs them in one slot or an unclustered Redis.
 */
export interface Consumer {
  /** Returns at once; partitions are taken as soon as Redis answers. */
  start(): void;
  /** Finishes and acknowledges the facts in hand, gives the leases back. Safe to call twice. */
  stop(): Promise<void>;
  status(): { running: boolean; partitions: string[] };
}

export interface ConsumerOptions {
  service: string;
  sources: readonly string[];
  redis: RedisConnections;
  /**
   * Must be safe to run twice for one fact. An error that is retryable (see retryable.ts) waits without counting;
   * any other counts, and after five deliveries the fact is exhausted.
   */
  apply(fact: Fact): Promise<void>;
  /**
   * Keeps an exhausted fact (dead letter, parked aggregate); the stream forgets it when this resolves, and calls
   * again when it rejects. `fact` is null when the entry is not a fact at all: `entry.text` has what it said.
   */
  onExhausted(fact: Fact | null, error: unknown, attempts: number, entry: Entry): Promise<void>;
  log: Log;
  timing?: Partial<typeof TIMING>;
}

const TIMING = {
  /** A dead consumer's partitions are taken over after this and one renewal: 2 s together. */
  leaseMs: 1_600,
  /** Four chances within a lease. */
  renewMs: 400,
  /** How long a partition taken while the bell waits may go without it. */
  bellMs: 200,
  /** 100 ms, 400 ms, 1.6 s, 3 s: a fact that fails five times holds its partition for about five seconds. */
  retryAfterMs: (failures: number) => Math.min(100 * 4 ** (failures - 1), 3_000) * (0.75 + Math.random() / 2),
};

/** What the bell reads per stream and call; it only needs to know that there is something. */
const BELL_COUNT = 64;

export function createConsumer(options: ConsumerOptions): Consumer {
  const { service, sources, redis, log } = options;
  const timing = { ...TIMING, ...options.timing };
  const group = groupOf(service);
  const partitions = sources.flatMap((source) =>
    Array.from({ length: WORK_PARTITIONS }, (_, partition) => ({ source, partition })),
  );
  const leases = createLeases({ service, partitions, redis, leaseMs: timing.leaseMs });
  /** Readers by stream. */
  const readers = new Map<string, { reader: PartitionReader; lease: Lease }>();
  let phase: 'new' | 'running' | 'stopping' = 'new';
  let loops: Promise<unknown> = Promise.resolve();
  let bell: Redis | null = null;
  let stopped: Promise<void> | null = null;
  const resting = new Set<() => void>();

  function rest(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        resting.delete(end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      resting.add(end);
    });
  }

  function open(lease: Lease): void {
    const stream = redis.keys.workStream(lease.source, lease.partition);
    if (readers.has(stream)) return;
    const reader = openPartition({
      lease,
      stream,
      group,
      redis,
      log,
      retryAfterMs: timing.retryAfterMs,
      apply: async (entry) => options.apply(parseFact(entry)),
      exhaust: (entry, error, attempts) => options.onExhausted(factOrNull(entry), error, attempts, entry),
    });
    readers.set(stream, { reader, lease });
    reader.done.then(() => readers.delete(stream));
  }

  /** Ends a reader whose time is over; another consumer may have the partition as soon as it has ended. */
  async function finish(reader: PartitionReader, lease: Lease): Promise<void> {
    await reader.stop();
    await leases.release(lease).catch(() => {});
  }

  async function keepLeases(): Promise<void> {
    while (phase === 'running' || readers.size > 0) {
      const held = await leases.renew(phase === 'running' ? 'take' : 'keep').catch(() => null);
      for (const lease of held ?? []) {
        if (phase === 'running' && !lease.surplus) open(lease);
      }
      for (const { reader, lease } of readers.values()) {
        if (lease.surplus) void finish(reader, lease);
      }
      await rest(timing.renewMs * (0.9 + Math.random() / 5));
    }
  }

  async function ringBell(bell: Redis): Promise<void> {
    const heard = new Map<PartitionReader, string>();
    while (phase === 'running') {
      const listening = [...readers].flatMap(([stream, { reader }]) => {
        const after = heard.get(reader) ?? reader.beganAt;
        return after === null ? [] : [{ stream, reader, after }];
      });
      if (listening.length === 0) {
        await rest(BELL_IDLE_MS);
        continue;
      }
      const streams = [...listening.map(({ stream }) => stream), ...listening.map(({ after }) => after)];
      const reply = await bell
        .xread('COUNT', BELL_COUNT, 'BLOCK', timing.bellMs, 'STREAMS', ...streams)
        .catch(() => rest(timing.renewMs));
      for (const [stream, entries] of reply ?? []) {
        const rung = listening.find((one) => one.stream === stream);
        const last = entries.at(-1)?.[0];
        if (rung === undefined || last === undefined) continue;
        heard.set(rung.reader, last);
        rung.reader.poke();
      }
      for (const reader of heard.keys()) {
        if (![...readers.values()].some((one) => one.reader === reader)) heard.delete(reader);
      }
    }
  }

  async function stop(): Promise<void> {
    phase = 'stopping';
    const silenced = bell === null ? null : closeClient(bell);
    await Promise.all([...readers.values()].map(({ reader, lease }) => finish(reader, lease)));
    for (const end of [...resting]) end();
    await Promise.all([loops, silenced]);
    await leases.leave().catch(() => {});
  }

  return {
    start() {
      if (phase !== 'new') return;
      phase = 'running';
      bell = redis.blocking(`${service} work`);
      loops = Promise.all([keepLeases(), ringBell(bell)]);
    },
    stop() {
      stopped ??= stop();
      return stopped;
    },
    status: () => ({ running: phase === 'running', partitions: [...readers.keys()].sort() }),
  };
}

/** While nothing is held; short, because the first fact after a start should not wait. */
const BELL_IDLE_MS = 10;

/** The fields this file and the inbox rely on; what a fact of its type must contain is checked by `apply`. */
function parseFact(entry: Entry): Fact {
  let fact: unknown;
  try {
    fact = JSON.parse(entry.text);
  } catch {
    throw new UnreadableError(`The entry has no JSON in its field ${WORK_FIELD}`);
  }
  if (!isFact(fact)) throw new UnreadableError('The entry is not the envelope of a fact');
  if (fact.source !== entry.source) {
    throw new UnreadableError(`A fact of ${fact.source} in a stream of ${entry.source}`);
  }
  return fact;
}

function factOrNull(entry: Entry): Fact | null {
  try {
    return parseFact(entry);
  } catch {
    return null;
  }
}

function isFact(value: unknown): value is Fact {
  if (typeof value !== 'object' || value === null) return false;
  const { id, type, source, orgId, aggregate } = value as Partial<Record<string, unknown>>;
  if (![id, type, source, orgId].every((field) => typeof field === 'string')) return false;
  return typeof (aggregate as { id?: unknown } | null | undefined)?.id === 'string';
}
