/**
 * The relay's half in Redis: hints for open subscriptions, work streams for consumers, and the sentinel that tells
 * whether Redis still has everything it was given.
 *
 * The sentinel holds the number of the last batch, written in the pipeline of that batch; PostgreSQL holds the same
 * number, written when the batch is marked. Redis behind PostgreSQL (emptied, restored, or a replica that lagged when it
 * was promoted) means facts are missing; Redis ahead means a crash before the mark, and the batch comes twice.
 */
import { groupOf, partitionOf, WORK_FIELD, WORK_PARTITIONS } from './keys.ts';
import type { RedisConnections } from './redis.ts';
import type { Outgoing } from './relay-outbox.ts';

export type RelayStreams = ReturnType<typeof createRelayStreams>;

/** Never downwards: a deposed leader that wakes late must not make the next one believe that Redis lost data. */
const RAISE = `if tonumber(redis.call('GET', KEYS[1]) or 0) < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], ARGV[1])
end`;

const SET_IF_STILL = `if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1`;

/**
 * The client gives a command two seconds. This is the net under it: a promise that a lost connection left pending
 * (ioredis#2193) must not hold up publishing for ever.
 */
const DEADLINE_MS = 3_000;

/** Every call rejects while Redis is away, and when any command of its pipeline failed. */
export function createRelayStreams(redis: RedisConnections, source: string) {
  const { commands, keys } = redis;
  const sentinel = keys.sentinel(source);
  const streams = Array.from({ length: WORK_PARTITIONS }, (_, partition) =>
    keys.workStream(source, partition),
  );

  const send = async (pipeline: ReturnType<typeof commands.pipeline>): Promise<unknown[]> => {
    const replies = (await inTime(pipeline.exec())) ?? [];
    return replies.map(([error, reply]) => {
      if (error) throw error;
      return reply;
    });
  };
  const addTo = (pipeline: ReturnType<typeof commands.pipeline>, { orgId, aggregateId, fact }: Outgoing) =>
    pipeline.xadd(keys.workStream(source, partitionOf(orgId, aggregateId)), '*', WORK_FIELD, fact);

  return {
    /** The last batch Redis knows of; negative while a re-append is unfinished, 0 when it knows of none. */
    async lastBatch(): Promise<number> {
      return Number((await inTime(commands.get(sentinel))) ?? 0);
    },
    /** Hints and work entries of one batch, in the order given, then the sentinel. One round trip. */
    async publish(facts: readonly Outgoing[], batch: number): Promise<void> {
      const pipeline = commands.pipeline();
      for (const { orgId, seq, fact } of facts) {
        pipeline.publish(keys.liveChannel(source, orgId), `{"seq":${seq},"fact":${fact}}`);
      }
      for (const fact of facts) addTo(pipeline, fact);
      pipeline.eval(RAISE, 1, sentinel, batch);
      await send(pipeline);
    },
    /** Declares a re-append under a number of its own. What is lost from here on is noticed at its end. */
    async beginReappend(attempt: number): Promise<void> {
      await inTime(commands.set(sentinel, -attempt));
    },
    /** Work entries only: hints are for who listened then. */
    async reappend(facts: readonly Outgoing[]): Promise<void> {
      const pipeline = commands.pipeline();
      for (const fact of facts) addTo(pipeline, fact);
      await send(pipeline);
    },
    /** False when Redis lost its data again meanwhile: begin anew. */
    async endReappend(attempt: number, batch: number): Promise<boolean> {
      return (await inTime(commands.eval(SET_IF_STILL, 1, sentinel, -attempt, batch))) === 1;
    },
    /**
     * Drops what every group has acknowledged. Not before each expected group exists: it would begin with a hole.
     * A source without consumers keeps what is younger than `keepMs`.
     */
    async trim(consumers: readonly string[], keepMs: number): Promise<void> {
      for (const stream of streams) {
        const from =
          consumers.length === 0
            ? `${Date.now() - keepMs}-0`
            : await firstNeeded(stream, consumers.map(groupOf));
        if (from !== null) await commands.xtrim(stream, 'MINID', from);
      }
    },
  };

  /** The lowest id somebody may still ask for, or null when that is unknown. */
  async function firstNeeded(stream: string, expected: readonly string[]): Promise<string | null> {
    if ((await commands.exists(stream)) === 0) return null;
    const groups = ((await commands.xinfo('GROUPS', stream)) as unknown[][]).map(groupFrom);
    if (!expected.every((name) => groups.some((group) => group.name === name))) return null;
    const needed = await Promise.all(
      groups.map(async (group) => {
        const [, oldestPending] = (await commands.xpending(stream, group.name)) as [number, string | null];
        // All up to the last delivered id is acknowledged; keeping that one entry is simpler than its successor.
        return oldestPending ?? group.lastDelivered;
      }),
    );
    return needed.reduce((lowest, id) => (isBefore(id, lowest) ? id : lowest));
  }
}

async function inTime<T>(reply: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Redis did not answer within ${DEADLINE_MS} ms`)), DEADLINE_MS);
  });
  try {
    return await Promise.race([reply, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}

/** One group of XINFO GROUPS. */
export function groupFrom(reply: unknown[]): { name: string; lastDelivered: string } {
  const field = (name: string) => String(reply[reply.indexOf(name) + 1]);
  return { name: field('name'), lastDelivered: field('last-delivered-id') };
}

/** Of two ids of entries. */
export function isBefore(a: string, b: string): boolean {
  const [aMs = 0, aPlace = 0] = a.split('-').map(Number);
  const [bMs = 0, bPlace = 0] = b.split('-').map(Number);
  return aMs === bMs ? aPlace < bPlace : aMs < bMs;
}
