import { FeedQueue } from './feed-queue.ts';
import { type FeedLog, openTail, type SizedFact, sized, type Tail } from './feed-tail.ts';
import type { Live } from './live.ts';
import type { Log } from './log.ts';
import type { Fact } from './outbox.ts';
import type { Tenant } from './tenant-pool.ts';

/**
 * What a subscription listens to: the facts of one source and tenant, in order, none lost, none twice.
 *
 *   hints ──▶ tail of the tenant (feed-tail.ts): one per tenant, shared, in order ──▶ live subscribers' queues
 *   outbox ──▶ gaps, reconnects, checks, replays                                          (feed-queue.ts)
 *
 * A subscriber
 *   starts     without `after`: heartbeat with its position, then every fact behind it
 *   resumes    with `after`: the facts behind it, from the ring or page by page from the outbox, each page when the
 *              one before has been taken; the heartbeat that follows marks the end of the replay; then live
 *   overflows  a full queue makes it a resuming one again, from its last queued fact: late, bounded, nothing missing
 *   leaves     return() ends at once; the last one to leave drops the tenant's state and its Redis subscription
 *
 * Without Redis the outbox is polled: facts arrive late, not less. Facts are shared between subscribers: read only.
 */
export type FeedItem =
  | { readonly kind: 'fact'; readonly seq: number; readonly fact: Fact }
  | { readonly kind: 'heartbeat'; readonly seq: number }
  | { readonly kind: 'resync'; readonly seq: number; readonly reason: 'CURSOR_EXPIRED' };

export interface Feed {
  /**
   * Returns at once; the first item comes when the position is known. After `resync` the facts go on behind its seq.
   * `after` is trusted: check whose cursor it was.
   */
  subscribe(tenant: Tenant, options?: { after?: number | undefined }): FeedSubscription;
  stats(): { tenants: number; subscribers: number };
  /** Ends every subscription as done. Safe to call twice. */
  close(): void;
}

export type FeedSubscription = AsyncIterableIterator<FeedItem, undefined> & {
  return(): Promise<IteratorResult<FeedItem, undefined>>;
};

export type { FeedLog };

export interface FeedOptions {
  source: string;
  live: Live;
  outbox: FeedLog;
  log: Log;
  /** A quiet subscription hears this often. Under the idle timeouts of proxies (60 s). */
  heartbeatMs?: number;
  /** How late a fact may be whose hint was lost and that nothing follows. One indexed read per tenant. */
  tailCheckMs?: number;
  /** Facts kept in memory per tenant that is listened to: a resume within them does not touch the database. */
  ringSize?: number;
}

const DEFAULTS = { heartbeatMs: 15_000, tailCheckMs: 5_000, ringSize: 256 };
/** Of one subscriber: 256 facts or 1 MB of JSON, as Hive's 32 and 1024 frame it; what is beyond waits in the log. */
const QUEUE_LIMITS = { itemsMax: 256, bytesMax: 1_000_000 };
/** A replayed page leaves room for what happens while it is being taken. */
const REPLAY = { itemsMax: 128, bytesMax: 500_000 };
/** How often the outbox is looked at while Redis is away. */
const POLL_MS = 250;
/** Tenants checked at the same time: a reconnect must not take the whole connection pool. */
const CHECKS_AT_ONCE = 4;
const REPLAY_RETRY_MS = 500;

interface Subscriber {
  readonly queue: FeedQueue<FeedItem>;
  /** Replaying until this is true: the tail's facts do not concern it yet. */
  isLive: boolean;
  /** Everything up to here is queued or was taken. */
  position: number;
}

interface TenantFeed {
  readonly tenant: Tenant;
  readonly tail: Tail;
  readonly subscribers: Set<Subscriber>;
  checkAt: number;
  heartbeatAt: number;
}

export function createFeed(options: FeedOptions): Feed {
  const { source, live, outbox, log } = options;
  const { heartbeatMs, tailCheckMs, ringSize } = { ...DEFAULTS, ...options };
  const tenants = new Map<string, TenantFeed>();
  const tickMs = Math.min(POLL_MS, heartbeatMs, tailCheckMs);
  let ticking: NodeJS.Timeout | null = null;
  let isTicking = false;

  function open(tenant: Tenant): TenantFeed {
    const subscribers = new Set<Subscriber>();
    const tail = openTail({
      tenant: { orgId: tenant.orgId },
      source,
      outbox,
      live,
      log,
      ringSize,
      onFact: ({ seq, fact, bytes }) => tell(feed, { kind: 'fact', seq, fact }, bytes),
      onBreak: (seq) => tell(feed, { kind: 'resync', seq, reason: 'CURSOR_EXPIRED' }, 0),
      onCheckWanted: () => {
        feed.checkAt = 0;
        void tick();
      },
    });
    const now = Date.now();
    // Spread out, so that tenants which started together are not checked together for ever.
    const checkAt = now + tailCheckMs * Math.random();
    const feed: TenantFeed = {
      tenant: { orgId: tenant.orgId },
      tail,
      subscribers,
      checkAt,
      heartbeatAt: now + heartbeatMs,
    };
    tenants.set(tenant.orgId, feed);
    ticking ??= setInterval(() => void tick(), tickMs).unref();
    return feed;
  }

  function drop(feed: TenantFeed): void {
    feed.tail.close();
    if (tenants.get(feed.tenant.orgId) === feed) tenants.delete(feed.tenant.orgId);
    if (tenants.size === 0 && ticking) {
      clearInterval(ticking);
      ticking = null;
    }
  }

  /** Heartbeats, then the checks whose time has come, a few at once. Never two rounds of checks at the same time. */
  async function tick(): Promise<void> {
    for (const feed of tenants.values()) beat(feed);
    if (isTicking) return;
    isTicking = true;
    try {
      const due = [...tenants.values()].filter(({ checkAt }) => isDue(checkAt));
      await Promise.all(Array.from({ length: CHECKS_AT_ONCE }, () => checkAll(due)));
    } finally {
      isTicking = false;
    }
  }

  function isDue(checkAt: number): boolean {
    // While Redis is away every tick is a check; the rounds themselves bound how many run.
    return !live.isConnected() || Date.now() >= checkAt;
  }

  async function checkAll(due: TenantFeed[]): Promise<void> {
    for (let feed = due.shift(); feed; feed = due.shift()) {
      feed.checkAt = Date.now() + tailCheckMs;
      await feed.tail.check();
    }
  }

  function beat(feed: TenantFeed): void {
    if (Date.now() < feed.heartbeatAt) return;
    feed.heartbeatAt = Date.now() + heartbeatMs;
    for (const { queue, isLive } of feed.subscribers) {
      // Behind queued facts it would say nothing that they do not.
      if (isLive && queue.isEmpty) queue.push({ kind: 'heartbeat', seq: feed.tail.last }, 0);
    }
  }

  /** Queues the item for everybody who is live. Whoever has no room reads it from the log, as soon as there is. */
  function tell(feed: TenantFeed, item: FeedItem, bytes: number): void {
    for (const subscriber of feed.subscribers) {
      if (!subscriber.isLive) continue;
      if (subscriber.queue.push(item, bytes)) {
        subscriber.position = item.seq;
      } else {
        subscriber.isLive = false;
        orEnd(feed, subscriber, catchUp(feed, subscriber));
      }
    }
  }

  /** From `after`, or from now. */
  async function join(feed: TenantFeed, subscriber: Subscriber, after: number | undefined): Promise<void> {
    const { tail } = feed;
    const { queue } = subscriber;
    await tail.ready;
    subscriber.position = after ?? tail.last;
    // Ahead of this process: another replica has heard of more. Twice: the first check may have begun before that.
    for (let checks = 0; subscriber.position > tail.last && queue.isOpen && checks < 2; ) {
      if (await tail.check()) checks += 1;
      else await new Promise((resolve) => setTimeout(resolve, REPLAY_RETRY_MS));
    }
    await catchUp(feed, subscriber);
  }

  /** From the subscriber's position to live. The last step and the look at the tail are one, so nothing falls between. */
  async function catchUp(feed: TenantFeed, subscriber: Subscriber): Promise<void> {
    const { tail } = feed;
    const { queue } = subscriber;
    await queue.drained();
    let isKnown = subscriber.position <= tail.last;
    while (isKnown && subscriber.position < tail.last && queue.isOpen) {
      const page = tail.recent(subscriber.position) ?? (await readPage(feed, subscriber.position));
      if (page === null) {
        await new Promise((resolve) => setTimeout(resolve, REPLAY_RETRY_MS));
        continue;
      }
      isKnown = page[0]?.seq === subscriber.position + 1;
      if (!isKnown) break;
      // The log may be ahead of the tail: what is behind the tail will come from there.
      subscriber.position = replay(
        queue,
        page.filter(({ seq }) => seq <= tail.last),
      );
      if (subscriber.position < tail.last) await queue.drained();
    }
    if (!queue.isOpen) return;
    // There is room for both: a page leaves some, and before a break the queue has drained.
    subscriber.position = tail.last;
    if (!isKnown) queue.push({ kind: 'resync', seq: tail.last, reason: 'CURSOR_EXPIRED' }, 0);
    queue.push({ kind: 'heartbeat', seq: tail.last }, 0);
    subscriber.isLive = true;
  }

  function orEnd({ tenant }: TenantFeed, { queue }: Subscriber, work: Promise<void>): void {
    work.catch((error: unknown) => {
      if (!queue.isOpen) return; // the subscriber left while its feed was beginning
      log.error({ error, orgId: tenant.orgId }, 'A subscription could not join its feed');
      queue.end();
    });
  }

  /** Null when the log could not be read. */
  async function readPage(feed: TenantFeed, position: number): Promise<SizedFact[] | null> {
    try {
      return (await outbox.readAfter(feed.tenant, position, REPLAY.itemsMax)).map(sized);
    } catch (error) {
      log.warn({ error, orgId: feed.tenant.orgId }, 'A replay cannot read its log; retrying');
      return null;
    }
  }

  return {
    subscribe(tenant, { after } = {}) {
      const feed = tenants.get(tenant.orgId) ?? open(tenant);
      const queue = new FeedQueue<FeedItem>(QUEUE_LIMITS, () => {
        feed.subscribers.delete(subscriber);
        if (feed.subscribers.size === 0) drop(feed);
      });
      const subscriber: Subscriber = { queue, isLive: false, position: after ?? 0 };
      feed.subscribers.add(subscriber);
      orEnd(feed, subscriber, join(feed, subscriber, after));
      return queue;
    },
    stats() {
      let subscribers = 0;
      for (const feed of tenants.values()) subscribers += feed.subscribers.size;
      return { tenants: tenants.size, subscribers };
    },
    close() {
      for (const feed of [...tenants.values()]) {
        for (const { queue } of [...feed.subscribers]) queue.end();
      }
    },
  };
}

/** Queues as much of the page as a replay may take at once, at least one fact; returns the last position queued. */
function replay(queue: FeedQueue<FeedItem>, page: SizedFact[]): number {
  let bytes = 0;
  let position = 0;
  for (const fact of page.slice(0, REPLAY.itemsMax)) {
    bytes += fact.bytes;
    if (position > 0 && bytes > REPLAY.bytesMax) break;
    queue.push({ kind: 'fact', seq: fact.seq, fact: fact.fact }, fact.bytes);
    position = fact.seq;
  }
  return position;
}
