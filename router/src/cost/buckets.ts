// Token buckets that all replicas share: points that flow in at a steady rate, up to a capacity, and are taken by cost.
//
//   take ─▶ known here a moment ago, and more than half full ─▶ taken here, told to Redis within TELL_MS
//        └▶ otherwise ─▶ one script call: takes from all buckets of the caller, or from none ─▶ level of each
//        └▶ Redis away, or silent ─▶ taken here, by the same numbers; told when it is back
//
// Every point that was taken reaches Redis, so the rate holds over all replicas however long one looks. What the short cut
// lets through at once is half a bucket per replica beyond the capacity; it is owed, and flows in before anything else is
// admitted. Without Redis every replica has buckets of its own: an attacker gets the rate once per replica, nobody gets
// everything. What was given back (an answer that cost less than it might have) travels with what is taken next.

import type { Log } from '@taskflow/kit/log';
import type { RedisConnections } from '@taskflow/kit/redis';
import type { Redis } from 'ioredis';
import { LRUCache } from 'lru-cache';

export interface BucketLimit {
  /** Flow in, in points a second. */
  readonly pointsPerS: number;
  readonly capacity: number;
}

/** One bucket of a caller. */
export interface Bucket {
  /** Whose it is, as callers read it: `viewer`, `organization`, `key`, `address`. */
  readonly name: string;
  /** The Redis key; contains the tenant, wherever there is one. Those that are taken from together share a hash tag. */
  readonly key: string;
  readonly limit: BucketLimit;
}

export interface Taken {
  readonly isAdmitted: boolean;
  /** How long to wait until it would be admitted; 0 when it was. */
  readonly retryAfterMs: number;
  /** The bucket that refused; null when none did. */
  readonly refusedBy: Bucket | null;
}

export interface Buckets {
  /** Takes the points from every bucket, or from none. Waits for Redis only where it has to be asked. Never rejects. */
  take(buckets: readonly Bucket[], points: number): Taken | Promise<Taken>;
  /** Gives points back. */
  give(buckets: readonly Bucket[], points: number): void;
  /** As far as it is known here: points left, never below 0, and how long until it is full again. */
  levelOf(bucket: Bucket): { remaining: number; fullInMs: number };
  start(): void;
  /** Tells Redis what it has not been told. Safe to call twice. */
  stop(): Promise<void>;
}

export interface BucketsOptions {
  /** Null: this process counts alone. */
  redis: Pick<RedisConnections, 'commands' | 'status'> | null;
  log: Log;
}

/** How often what was taken here is told; a burst that replicas cannot see of each other lasts as long. */
const TELL_MS = 100;
/** What other replicas took is known for as long as this. */
const FRESH_MS = 1_000;
/** A Redis that hangs holds up an operation for this long; then it is decided here. */
const ASK_TIMEOUT_MS = 250;
/** After no answer nobody is asked for this long, so that a Redis that hangs holds up few. */
const SILENCE_MS = 1_000;
/** Callers that one replica remembers; a forgotten one is asked for again. */
const REMEMBERED_MAX = 50_000;

/**
 * KEYS: buckets. ARGV: points wanted, then of each bucket its capacity, its flow per millisecond, and the points that were
 * taken elsewhere already (negative: given back). Answers whether the wanted ones were taken from all, and the level of each.
 * An operation larger than the bucket is admitted by a full one, and leaves a debt. Redis keeps the time for everybody.
 */
const TAKE = `
  local time = redis.call('TIME')
  local now = time[1] * 1000 + time[2] / 1000
  local wanted = tonumber(ARGV[1])
  local levels, isAdmitted = {}, 1
  for i, key in ipairs(KEYS) do
    local capacity, flow, spent = tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1])
    local known = redis.call('HMGET', key, 'points', 'at')
    local level = capacity
    if known[1] then level = math.min(capacity, known[1] + math.max(0, now - known[2]) * flow) end
    levels[i] = math.min(capacity, level - spent)
    if levels[i] < math.min(wanted, capacity) then isAdmitted = 0 end
  end
  for i, key in ipairs(KEYS) do
    local capacity, flow = tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
    levels[i] = math.max(-capacity, levels[i] - wanted * isAdmitted)
    redis.call('HSET', key, 'points', levels[i], 'at', string.format('%.3f', now))
    redis.call('PEXPIRE', key, math.ceil((capacity - levels[i]) / flow) + 1000)
    levels[i] = tostring(levels[i])
  end
  return { isAdmitted, unpack(levels) }`;

type Scripted = Redis & {
  takePoints(keys: number, ...args: (string | number)[]): Promise<[number, ...string[]]>;
};

/** A bucket as this process knows it: `level` at `at`, all that was taken here included. */
interface Known {
  readonly bucket: Bucket;
  level: number;
  at: number;
  /** Taken here and not told yet; negative when more was given back. */
  untold: number;
  /** When Redis has last said what all replicas took; -Infinity: never. */
  heardAt: number;
}

export function createBuckets({ redis, log }: BucketsOptions): Buckets {
  const known = new LRUCache<string, Known>({ max: REMEMBERED_MAX });
  const untold = new Set<Known>();
  const commands = redis ? (redis.commands as Scripted) : null;
  commands?.defineCommand('takePoints', { lua: TAKE });
  let timer: NodeJS.Timeout | null = null;
  let telling: Promise<void> = Promise.resolve();
  let silentUntil = 0;
  const isUp = () => redis?.status() === 'up' && performance.now() >= silentUntil;

  function knownOf(bucket: Bucket): Known {
    const found = known.get(bucket.key);
    if (found) return found;
    const made = {
      bucket,
      level: bucket.limit.capacity,
      at: performance.now(),
      untold: 0,
      heardAt: -Infinity,
    };
    known.set(bucket.key, made);
    return made;
  }

  function takeHere(callers: readonly Known[], points: number, now: number): Taken {
    for (const one of callers) flow(one, now);
    const short = callers.find(({ bucket, level }) => level < Math.min(points, bucket.limit.capacity));
    if (short) return refused(short, points);
    for (const one of callers) spend(one, points);
    return ADMITTED;
  }

  function spend(one: Known, points: number): void {
    one.level -= points;
    if (!redis) return;
    one.untold += points;
    untold.add(one);
  }

  /** One script call for all buckets of a caller; decided here when there is no answer. */
  async function ask(callers: readonly Known[], points: number): Promise<Taken> {
    const now = performance.now();
    const told = callers.map((one) => untoldOf(one, now));
    for (const one of callers) forget(one);
    try {
      const [isAdmitted, ...levels] = await answered(callers, told, points);
      for (const [index, one] of callers.entries()) hear(one, Number(levels[index]));
      if (isAdmitted === 1) return ADMITTED;
      const short = callers.find(({ bucket, level }) => level < Math.min(points, bucket.limit.capacity));
      return refused(short ?? (callers[0] as Known), points);
    } catch (error) {
      log.debug({ err: error }, 'points are counted here, while Redis does not answer');
      silentUntil = performance.now() + SILENCE_MS;
      for (const [index, one] of callers.entries()) remember(one, told[index] ?? 0);
      return takeHere(callers, points, performance.now());
    }
  }

  function answered(callers: readonly Known[], told: readonly number[], points: number) {
    if (!commands) throw new Error('there is no Redis');
    const args = callers.flatMap(({ bucket: { limit } }, index) => [
      ...[limit.capacity, limit.pointsPerS / 1000, told[index] ?? 0],
    ]);
    const keys = callers.map(({ bucket }) => bucket.key);
    return within(ASK_TIMEOUT_MS, commands.takePoints(keys.length, ...keys, points, ...args));
  }

  function forget(one: Known): void {
    one.untold = 0;
    untold.delete(one);
  }

  function remember(one: Known, points: number): void {
    if (points === 0) return;
    one.untold += points;
    untold.add(one);
  }

  /** What was taken here since the question is not in the answer. */
  function hear(one: Known, level: number): void {
    one.at = performance.now();
    one.heardAt = one.at;
    one.level = Math.min(one.bucket.limit.capacity, level - one.untold);
  }

  async function tell(): Promise<void> {
    if (!isUp()) return;
    await Promise.all([...untold].map((one) => ask([one], 0)));
  }

  return {
    take(buckets, points) {
      if (buckets.length === 0) return ADMITTED;
      const callers = buckets.map(knownOf);
      const now = performance.now();
      if (!isUp()) return takeHere(callers, points, now);
      const isPlenty = callers.every((one) => {
        flow(one, now);
        return now - one.heardAt < FRESH_MS && one.level - points > one.bucket.limit.capacity / 2;
      });
      return isPlenty ? takeHere(callers, points, now) : ask(callers, points);
    },
    give(buckets, points) {
      const now = performance.now();
      for (const one of buckets.map(knownOf)) {
        flow(one, now);
        one.level = Math.min(one.bucket.limit.capacity, one.level + points);
        if (!redis) continue;
        one.untold -= points;
        untold.add(one);
      }
    },
    levelOf(bucket) {
      const one = knownOf(bucket);
      flow(one, performance.now());
      const { capacity, pointsPerS } = bucket.limit;
      const fullInMs = ((capacity - one.level) / pointsPerS) * 1000;
      return { remaining: Math.max(0, Math.floor(one.level)), fullInMs: Math.ceil(fullInMs) };
    },
    start() {
      timer ??= setInterval(() => {
        telling = telling.then(tell);
      }, TELL_MS).unref();
    },
    async stop() {
      if (timer) clearInterval(timer);
      timer = null;
      await telling;
      await tell();
    },
  };
}

const ADMITTED: Taken = { isAdmitted: true, retryAfterMs: 0, refusedBy: null };

function refused({ bucket, level }: Known, points: number): Taken {
  const { capacity, pointsPerS } = bucket.limit;
  const missing = Math.min(points, capacity) - level;
  return {
    isAdmitted: false,
    retryAfterMs: Math.max(1, Math.ceil((missing / pointsPerS) * 1000)),
    refusedBy: bucket,
  };
}

function flow(one: Known, now: number): void {
  const { capacity, pointsPerS } = one.bucket.limit;
  one.level = Math.min(capacity, one.level + ((now - one.at) * pointsPerS) / 1000);
  one.at = now;
}

/** What flowed in since, elsewhere as well as here, needs no telling: nobody owes more than the bucket lacks. */
function untoldOf(one: Known, now: number): number {
  flow(one, now);
  return Math.min(one.untold, Math.max(0, one.bucket.limit.capacity - one.level));
}

function within<T>(ms: number, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
