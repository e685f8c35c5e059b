// How many calls each organisation has made this month, counted over all replicas and compared with its plan.
//
//   far from the limit ─▶ counted here, told to Redis a moment later: no call waits
//   near it ────────────▶ asked of Redis, those of one round trip together: of two hundred at once where a hundred are left,
//                         a hundred pass
//   beyond it ──────────▶ refused here; Redis is asked in the background whether the plan has grown
//
// A replica tells what it has counted in all (kit/tally.ts), so a lost answer neither loses nor doubles a call. It is exact
// as long as all replicas together admit fewer than NEAR calls of one organisation between two tellings; a replica that is
// killed takes with it what it had not told, one interval at most.
// (measured on a busy machine: 1 µs a call far from the limit; near it one round trip, and 2 µs each for 3,000 at once)
// Redis away: calls pass, as far as is known here, and are told when it is back. org brings the counts into PostgreSQL.

import { randomBytes } from 'node:crypto';
import type { PlanClaim } from '@taskflow/kit/identity';
import type { Log } from '@taskflow/kit/log';
import type { RedisConnections } from '@taskflow/kit/redis';
import { answerOf, tell } from '@taskflow/kit/tally';
import { callsOf, type Month, monthOf, planOf } from './plans.ts';

export interface Counted {
  readonly isAdmitted: boolean;
  /** The newest plan that is known; null when none is. */
  readonly plan: PlanClaim | null;
  /** What the plan allows in this month. */
  readonly limit: number | null;
  /** When the next month begins. */
  readonly monthEndsAt: number;
}

export interface CallCounter {
  /** Counts one call of an organisation, unless its month is used up. Never rejects. `plan` is what the token says. */
  count(orgId: string, plan: PlanClaim | null): Counted | Promise<Counted>;
  start(): void;
  /** Tells what was not told yet. */
  stop(): Promise<void>;
}

export interface CallCounterOptions {
  redis: Pick<RedisConnections, 'commands' | 'keys' | 'status'>;
  log: Log;
  /** For tests. */
  now?: () => number;
}

/** How often what was counted is told. */
const TELL_MS = 250;
/** Five replicas that together serve 20,000 calls a second of one organisation admit as many between two tellings. */
const NEAR = 5_000;
/** A Redis that hangs holds up a call that must ask for this long. */
const ANSWER_MS = 250;
/** How often an organisation is told to call, for those who collect the counts. */
const SEEN_MS = 60_000;
/** A plan that has grown is noticed after this long. */
const NEWS_MS = 1_000;
/** Longer than the month is counted, and the next one is still looked at. */
const TTL_MS = 70 * 86_400_000;

interface Tally {
  readonly orgId: string;
  readonly month: Month;
  plan: PlanClaim | null;
  /** By this replica in all, and as much of it as Redis knows. */
  counted: number;
  told: number;
  /** Of all replicas, when Redis was asked last; null before. */
  sum: number | null;
  waiting: ((isAdmitted: boolean) => void)[];
  isAsking: boolean;
  seenAt: number;
  newsAt: number;
}

export function createCallCounter({ redis, log, now = Date.now }: CallCounterOptions): CallCounter {
  const { commands, keys } = redis;
  /** Of this process and no other, so that numbers only grow. */
  const counter = randomBytes(9).toString('base64url');
  const tallies = new Map<string, Tally>();
  const untold = new Set<Tally>();
  let month = monthOf(now());
  let timer: NodeJS.Timeout | null = null;
  let isTelling: Promise<void> | null = null;

  function tallyOf(orgId: string): Tally {
    const known = tallies.get(orgId);
    if (known?.month === month) return known;
    const made: Tally = {
      ...{ orgId, month, plan: known?.plan ?? null, counted: 0, told: 0, sum: null },
      ...{ waiting: [], isAsking: false, seenAt: Number.NEGATIVE_INFINITY, newsAt: Number.NEGATIVE_INFINITY },
    };
    tallies.set(orgId, made);
    return made;
  }

  const limitOf = ({ plan, month: of }: Tally) => callsOf(plan, of, now());

  /** How many are left as far as is known here. */
  const leftOf = (tally: Tally, limit: number) => limit - (tally.sum ?? 0) - (tally.counted - tally.told);

  function admit(tally: Tally, isAdmitted: boolean): Counted {
    if (isAdmitted) tally.counted++;
    untold.add(tally);
    return verdictOf(tally, isAdmitted);
  }

  function verdictOf(tally: Tally, isAdmitted: boolean): Counted {
    return { isAdmitted, plan: tally.plan, limit: limitOf(tally), monthEndsAt: tally.month.endsAt };
  }

  /** One round trip for several organisations. What nobody answers is decided by what is known here. */
  async function ask(batch: readonly Tally[]): Promise<void> {
    const asked = batch.map((tally) => {
      untold.delete(tally);
      tally.isAsking = true;
      return { tally, counted: tally.counted, waiting: tally.waiting.splice(0) };
    });
    try {
      const answers = await within(ANSWER_MS, send(asked));
      for (const [at, { tally, counted, waiting }] of asked.entries()) {
        const { granted, sum } = answerOf(answers[at]);
        tally.counted += granted;
        tally.told = counted + granted;
        tally.sum = Math.max(tally.sum ?? 0, sum);
        for (const [place, settle] of waiting.entries()) settle(place < granted);
      }
    } catch (error) {
      log.debug({ err: error }, 'counted calls could not be told');
      for (const { tally, waiting } of asked) {
        untold.add(tally);
        for (const settle of waiting) {
          const limit = limitOf(tally);
          const isAdmitted = limit === null || leftOf(tally, limit) > 0;
          if (isAdmitted) tally.counted++;
          settle(isAdmitted);
        }
      }
    } finally {
      for (const { tally } of asked) {
        tally.isAsking = false;
        if (tally.waiting.length > 0) void ask([tally]);
      }
    }
  }

  interface Asked {
    readonly tally: Tally;
    readonly counted: number;
    readonly waiting: readonly unknown[];
  }

  /** Resolves to the answers to `tell`, in order. */
  async function send(asked: readonly Asked[]): Promise<unknown[]> {
    if (redis.status() !== 'up') throw new Error('Redis is away');
    const pipeline = commands.pipeline();
    const at = now();
    const readers = asked.map(({ tally, counted, waiting }) => {
      const { orgId, month: of } = tally;
      tell(pipeline, keys.apiCalls(orgId, of.name), counter, {
        ...{ counted, wanted: waiting.length, limit: limitOf(tally), ttlMs: TTL_MS },
      });
      const isNewsDue = at - tally.newsAt >= NEWS_MS;
      if (isNewsDue) pipeline.get(keys.planNews(orgId));
      const isSeenDue = at - tally.seenAt >= SEEN_MS;
      if (isSeenDue) {
        pipeline.zadd(keys.apiCallers(of.name), at, orgId);
        pipeline.pexpire(keys.apiCallers(of.name), TTL_MS);
      }
      return { tally, isNewsDue, isSeenDue };
    });
    const answers = ((await pipeline.exec()) ?? []).map(([error, value]) => {
      if (error) throw error;
      return value;
    });
    let place = 0;
    return readers.map(({ tally, isNewsDue, isSeenDue }) => {
      const answer = answers[place++];
      if (isNewsDue) {
        tally.newsAt = at;
        learn(tally, planOf(parsed(answers[place++])));
      }
      if (isSeenDue) {
        tally.seenAt = at;
        place += 2;
      }
      return answer;
    });
  }

  async function tellAll(): Promise<void> {
    month = monthOf(now()).name === month.name ? month : monthOf(now());
    const batch = [...untold].filter((tally) => !tally.isAsking);
    if (batch.length > 0) await ask(batch);
    for (const [orgId, tally] of tallies) {
      if (tally.month !== month && !untold.has(tally) && !tally.isAsking) tallies.delete(orgId);
    }
  }

  return {
    count(orgId, plan) {
      if (now() >= month.endsAt) month = monthOf(now());
      const tally = tallyOf(orgId);
      learn(tally, plan);
      const limit = limitOf(tally);
      if (limit === null) return admit(tally, true);
      const left = leftOf(tally, limit);
      if (left <= 0) return admit(tally, false);
      if ((tally.sum !== null && left > NEAR) || redis.status() !== 'up') return admit(tally, true);
      return new Promise((resolve) => {
        tally.waiting.push((isAdmitted) => resolve(verdictOf(tally, isAdmitted)));
        if (!tally.isAsking) void ask([tally]);
      });
    },
    start() {
      timer ??= setInterval(() => {
        isTelling ??= tellAll().finally(() => {
          isTelling = null;
        });
      }, TELL_MS).unref();
    },
    async stop() {
      if (timer) clearInterval(timer);
      timer = null;
      await isTelling;
      await tellAll();
    },
  };
}

/** For routers without accounts: everybody calls as often as they like. */
export function createNoCallCounter(): CallCounter {
  const admitted = { isAdmitted: true, limit: null, monthEndsAt: Number.POSITIVE_INFINITY };
  return { count: (_orgId, plan) => ({ ...admitted, plan }), start() {}, stop: async () => {} };
}

function learn(tally: Tally, plan: PlanClaim | null): void {
  if (plan && plan.version > (tally.plan?.version ?? -1)) tally.plan = plan;
}

function parsed(text: unknown): unknown {
  try {
    return typeof text === 'string' ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}

function within<T>(ms: number, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
