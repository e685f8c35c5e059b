/**
 * The relay: the only one that publishes. One leader per database; the others wait to take over.
 *
 *   standby ── lease free ──▶ leading ── lease lost, stop() ──▶ standby, stopped
 *
 *   while leading, side by side:
 *     number    outbox ──▶ seq, contiguous per tenant, in id order ──▶ commit ──▶ in hand
 *     publish   in hand, or the backlog ──▶ PUBLISH hints, XADD work streams ──▶ mark, under the fencing token
 *     seal      audit entries ──▶ a link of each tenant's chain, in the same way (audit-seal.ts)
 *     renew     the lease                        upkeep   partitions, retention, trimming
 *
 * Invariants: a fact is published only after its number is committed; it counts as published only after Redis has it;
 * per aggregate, the first delivery of each fact is in order of versions. Delivery is at least once: inboxes drop what
 * they know. With Redis away numbering goes on and publishing waits. When Redis has lost data (relay-streams.ts), all
 * retained facts are appended to the work streams again before anything newer.
 */
import { hostname } from 'node:os';
import type pg from 'pg';
import { type AuditKeeping, createAuditRetention } from './audit-retention.ts';
import { createAuditSeal } from './audit-seal.ts';
import { createBell, createTroubles } from './background.ts';
import type { Log } from './log.ts';
import type { RedisConnections } from './redis.ts';
import { createRelayOutbox, DeposedError, type Outgoing, type Term } from './relay-outbox.ts';
import { createRelayStreams } from './relay-streams.ts';

export interface RelayOptions {
  /** The subgraph whose facts these are: `task`. */
  readonly source: string;
  /** Of the `_system` role; three connections are enough. */
  readonly pool: pg.Pool;
  readonly redis: RedisConnections;
  /** Names of the services that consume this source: nothing is trimmed before all their groups exist. */
  readonly consumers: readonly string[];
  /** How long the audit log is kept; without it nothing of it is removed. */
  readonly audit?: AuditKeeping | undefined;
  readonly log: Log;
  readonly timing?: Partial<typeof TIMING>;
}

export interface RelayStatus {
  readonly state: 'standby' | 'leading' | 'stopped';
  /** False while Redis is away, or facts of an earlier failure are still being brought up. */
  readonly isUpToDate: boolean;
  /** Facts since the start of this relay. */
  readonly numbered: number;
  readonly published: number;
  readonly reappended: number;
}

export interface Relay {
  /** Returns at once; leads as soon as the database answers and the lease is free. */
  start(): void;
  /** Finishes the batch in hand and gives the lease back. Safe to call twice. */
  stop(): Promise<void>;
  /** There is something new: call it after a commit that appended facts or audit entries. Free. */
  poke(): void;
  status(): RelayStatus;
}

const TIMING = {
  /** With one look of a standby, a dead leader is replaced within 2 s. */
  leaseMs: 1_500,
  /** Three chances within a lease. */
  renewMs: 400,
  standbyMs: 250,
  /** How often an idle leader looks for facts nobody poked about (another replica wrote them): 25 ms, doubling. */
  pollMsMin: 25,
  pollMsMax: 250,
  /** How often an idle leader asks Redis whether it still has its data. */
  sentinelMs: 1_000,
  /** Seals are in no hurry: gathered for this long they come in few statements, 5 a second at most. */
  sealGatherMs: 200,
  /** How often an idle leader looks for audit entries nobody poked about. */
  sealPollMs: 1_000,
  upkeepMs: 60_000,
  auditUpkeepMs: 3_600_000,
  /** Facts, their partitions and, without consumers, their work entries. Never less than 72 h: cursors promise it. */
  keepMs: 72 * 3_600_000,
};

/** About 0.5 MB in Redis' pipeline and 5 ms of its time. */
const BATCH = 500;
/** In hand between numbering and publishing; beyond, the rest waits in the table. About 4 MB. */
const IN_HAND_MAX = 8 * BATCH;
/** Inboxes outlive the outboxes of every source, with room for a longer retention elsewhere. */
const INBOX_KEEP_FACTOR = 4;
/** Clients retry within minutes; a day covers a phone that was offline. */
const KEY_KEEP_MS = 24 * 3_600_000;
const RETRY_MS_MIN = 50;
const RETRY_MS_MAX = 1_000;

export function createRelay(options: RelayOptions): Relay {
  const { source, consumers } = options;
  const timing = { ...TIMING, ...options.timing };
  if (timing.keepMs < TIMING.keepMs) throw new Error('facts are kept for at least 72 hours');
  const log = options.log.child({ relay: source });
  const holder = `${hostname()}:${process.pid}`;
  const outbox = createRelayOutbox(options.pool, { holder, leaseMs: timing.leaseMs });
  const streams = createRelayStreams(options.redis, source);
  const auditSeal = createAuditSeal(options.pool, source);
  const auditRetention =
    options.audit && createAuditRetention(options.pool, { source, keeping: options.audit, log });
  const troubles = createTroubles(log);
  const counts = { numbered: 0, published: 0, reappended: 0 };
  const toNumber = createBell();
  const toPublish = createBell();
  const toSeal = createBell();
  const quiet = createBell();
  let state: RelayStatus['state'] = 'standby';
  let isStopping = false;
  let running: Promise<void> | null = null;
  let isDeposed = false;
  /** Numbered and not yet published, in order. */
  let inHand: Outgoing[] = [];
  /** Facts wait in the table as well: what is in hand is not all, and is left alone until the table is empty. */
  let hasBacklog = true;
  /** Read from the table last, and perhaps numbered at that very moment: not to be taken in hand as well. */
  let readAlready = new Set<string>();

  const isLeading = () => state === 'leading' && !isStopping && !isDeposed;
  /** Ends early when the term does. */
  const rest = async (ms: number) => {
    if (isLeading()) await quiet.wait(ms);
  };
  function endTerm(): void {
    isDeposed = true;
    for (const bell of [toNumber, toPublish, toSeal, quiet]) bell.ring();
  }

  async function run(): Promise<void> {
    while (!isStopping) {
      const term = await troubles.watch('lease', () => outbox.acquire());
      if (term) await lead(term);
      else if (!isStopping) await quiet.wait(timing.standbyMs);
    }
  }

  async function lead(term: Term): Promise<void> {
    state = 'leading';
    isDeposed = false;
    hasBacklog = true;
    inHand = [];
    log.info({ token: term.token }, 'this relay leads');
    await Promise.all([
      ...[keepLease(term), numberAll(term), publishAll(term), sealAll(term)],
      ...[keepUp(), keepTrimmed(), keepAuditLog()],
    ]);
    state = 'standby';
    if (isDeposed) log.warn({ token: term.token }, 'another relay may lead by now');
    else await outbox.release(term).catch(() => {});
  }

  async function keepLease(term: Term): Promise<void> {
    while (isLeading()) {
      await rest(timing.renewMs);
      if (!isLeading()) return;
      await troubles.watch('lease', () => outbox.renew(term).catch(stepDownIfDeposed));
      if (performance.now() >= term.validUntil) endTerm();
    }
  }

  function stepDownIfDeposed(error: unknown): void {
    if (!(error instanceof DeposedError)) throw error;
    endTerm();
  }

  async function numberAll(term: Term): Promise<void> {
    let pauseMs = timing.pollMsMin;
    while (isLeading()) {
      const facts = await troubles.watch('numbering', () => outbox.number(term, BATCH));
      if (facts && facts.length > 0) take(facts);
      if (facts?.length === BATCH) continue;
      pauseMs = facts && facts.length > 0 ? timing.pollMsMin : Math.min(pauseMs * 2, timing.pollMsMax);
      if (await toNumber.wait(pauseMs)) pauseMs = timing.pollMsMin;
    }
  }

  function take(facts: Outgoing[]): void {
    counts.numbered += facts.length;
    if (inHand.length + facts.length > IN_HAND_MAX) {
      hasBacklog = true;
      inHand = [];
    } else if (!hasBacklog) {
      inHand.push(...facts.filter(({ id }) => !readAlready.has(id)));
    }
    toPublish.ring();
  }

  async function publishAll(term: Term): Promise<void> {
    let retryMs = RETRY_MS_MIN;
    // Stopped in an orderly way it still publishes what it has in hand, as long as that works.
    while (isLeading() || (isStopping && !isDeposed && inHand.length > 0)) {
      const isFine = await troubles.watch('publishing', () =>
        publishNext(term)
          .catch(stepDownIfDeposed)
          .then(() => true),
      );
      if (isFine) {
        retryMs = RETRY_MS_MIN;
        if (!hasBacklog && inHand.length === 0) await toPublish.wait(timing.sentinelMs);
      } else {
        hasBacklog = true;
        inHand = [];
        await rest(retryMs);
        retryMs = Math.min(retryMs * 2, RETRY_MS_MAX);
      }
    }
  }

  /** One batch. In the order that makes a failure at any point cost a repetition and nothing else. */
  async function publishNext(term: Term): Promise<void> {
    const facts = await nextFacts();
    if (performance.now() >= term.validUntil) throw new DeposedError();
    const known = await streams.lastBatch();
    if (known < term.batch) await reappendAll(term);
    if (facts.length === 0) return;
    // Paused for long between two lines, a leader notices here; in the instant after, the mark does.
    if (performance.now() >= term.validUntil) throw new DeposedError();
    const batch = Math.max(known, term.batch) + 1;
    await streams.publish(facts, batch);
    await outbox.mark(term, facts, batch);
    counts.published += facts.length;
  }

  async function nextFacts(): Promise<Outgoing[]> {
    if (!hasBacklog) return inHand.splice(0, BATCH);
    // Cleared first: what is numbered from now on comes to hand, even when the table's answer lacks it.
    hasBacklog = false;
    const facts = await outbox.unpublished(BATCH);
    readAlready = new Set(facts.map(({ id }) => id));
    inHand = inHand.filter(({ id }) => !readAlready.has(id));
    if (facts.length === BATCH) {
      hasBacklog = true;
      inHand = [];
    }
    return facts;
  }

  async function reappendAll(term: Term): Promise<void> {
    log.warn('Redis has lost facts: appending all retained ones again');
    const attempt = Number(term.token);
    await streams.beginReappend(attempt);
    let last = '0';
    for (;;) {
      const facts = await outbox.retained(last, BATCH);
      if (performance.now() >= term.validUntil) throw new DeposedError();
      if (facts.length === 0) break;
      await streams.reappend(facts);
      counts.reappended += facts.length;
      last = facts.reduce((max, { id }) => (BigInt(id) > BigInt(max) ? id : max), last);
    }
    if (!(await streams.endReappend(attempt, term.batch)))
      throw new Error('Redis lost facts during a re-append');
    log.info({ facts: counts.reappended }, 'all retained facts were appended again');
  }

  async function sealAll(term: Term): Promise<void> {
    while (isLeading()) {
      const sealed = await troubles.watch('sealing', () => auditSeal.seal(term, BATCH));
      if (sealed === BATCH) continue;
      await toSeal.wait(timing.sealPollMs);
      await rest(timing.sealGatherMs);
    }
    // Stopped in an orderly way it leaves nothing unsealed that was committed before.
    if (!isDeposed) await troubles.watch('sealing', () => auditSeal.seal(term, BATCH));
  }

  async function keepAuditLog(): Promise<void> {
    while (isLeading() && auditRetention) {
      await troubles.watch('audit retention', () => auditRetention.run());
      await rest(timing.auditUpkeepMs);
    }
  }

  async function keepUp(): Promise<void> {
    const { keepMs } = timing;
    const keep = { keepMs, inboxKeepMs: INBOX_KEEP_FACTOR * keepMs, keyKeepMs: KEY_KEEP_MS };
    while (isLeading()) {
      await troubles.watch('upkeep', () => outbox.keepUp(keep));
      await rest(timing.upkeepMs);
    }
  }

  async function keepTrimmed(): Promise<void> {
    while (isLeading()) {
      await rest(timing.upkeepMs);
      if (isLeading()) await troubles.watch('trimming', () => streams.trim(consumers, timing.keepMs));
    }
  }

  return {
    start() {
      running ??= run();
    },
    async stop() {
      isStopping = true;
      for (const bell of [toNumber, toPublish, toSeal, quiet]) bell.ring();
      await running;
      state = 'stopped';
    },
    poke() {
      toNumber.ring();
      toSeal.ring();
    },
    status: () => ({
      state,
      isUpToDate: state === 'leading' && !hasBacklog && inHand.length === 0 && !troubles.has('publishing'),
      ...counts,
    }),
  };
}
