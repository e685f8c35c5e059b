import { randomUUID } from 'node:crypto';
import { aRedis, startOwnRedis } from '@taskflow/tests/kit/redis';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { createFeed, type FeedItem, type FeedLog, type FeedOptions, type FeedSubscription } from './feed.ts';
import type { LoggedFact } from './feed-tail.ts';
import { createLive, type Live } from './live.ts';
import { createLog } from './log.ts';
import type { Fact } from './outbox.ts';
import type { RedisConnections } from './redis.ts';

const redis = await (await aRedis()).connect();
const log = createLog({ process: 'test', level: 'silent' });
const SOURCE = 'task';

/** A log in memory, written as the relay writes: numbered first, then a hint, which may be lost or doubled. */
class MemoryLog implements FeedLog {
  readonly tenant = { orgId: randomUUID() };
  facts: LoggedFact[] = [];
  reads = 0;
  fails = false;
  failures = 0;
  #next = 1;

  async readAfter(_tenant: unknown, seq: number, limit: number) {
    this.reads += 1;
    return this.#answer(this.facts.filter((logged) => logged.seq > seq).slice(0, limit));
  }

  async tail() {
    return this.#answer(this.#next - 1);
  }

  /** What was true when the question came, one turn of the event loop later, as from a database. */
  async #answer<T>(answer: T): Promise<T> {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.fails) this.#fail();
    return answer;
  }

  #fail(): never {
    this.failures += 1;
    throw new Error('no database');
  }

  append(text = 'x'): LoggedFact {
    const seq = this.#next++;
    const fact = {
      id: randomUUID(),
      source: SOURCE,
      orgId: this.tenant.orgId,
      after: { text },
    } as unknown as Fact;
    const logged = { seq, fact };
    this.facts.push(logged);
    return logged;
  }

  forgetUpTo(seq: number) {
    this.facts = this.facts.filter((logged) => logged.seq > seq);
  }

  async hint(logged: LoggedFact, to: RedisConnections = redis) {
    await to.commands.publish(to.keys.liveChannel(SOURCE, this.tenant.orgId), JSON.stringify(logged));
  }
}

function aFeed(outbox: FeedLog, options: Partial<FeedOptions> = {}, live: Live = aLive(redis)) {
  const feed = createFeed({ source: SOURCE, live, outbox, log, tailCheckMs: 200, ...options });
  onTestFinished(() => feed.close());
  return feed;
}

function aLive(connections: RedisConnections): Live {
  const live = createLive(connections, log);
  onTestFinished(() => live.close());
  return live;
}

/** Takes items until `enough` is true of what was taken. */
async function take(items: FeedSubscription, enough: (taken: FeedItem[]) => boolean): Promise<FeedItem[]> {
  const taken: FeedItem[] = [];
  while (!enough(taken)) {
    const { done, value } = await items.next();
    if (done) break;
    taken.push(value);
  }
  return taken;
}

const seqs = (items: FeedItem[]) => items.filter(({ kind }) => kind === 'fact').map(({ seq }) => seq);
const upTo = (seq: number) => (taken: FeedItem[]) =>
  taken.at(-1)?.seq === seq && taken.at(-1)?.kind === 'fact';
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const until = (condition: () => boolean | Promise<boolean>) =>
  vi.waitUntil(condition, { timeout: 10_000, interval: 5 });

describe('a live subscription', () => {
  test('begins with a heartbeat at its position and then gets every fact from its hint alone', async () => {
    const outbox = new MemoryLog();
    outbox.append();
    const live = aLive(redis);
    const items = aFeed(outbox, { tailCheckMs: 60_000 }, live).subscribe(outbox.tenant);
    expect((await items.next()).value).toEqual({ kind: 'heartbeat', seq: 1 });
    await until(() => live.stats().listeners === 1);
    const { reads } = outbox;
    const logged = outbox.append();
    await outbox.hint(logged);
    expect((await items.next()).value).toEqual({ kind: 'fact', ...logged });
    expect(outbox.reads).toBe(reads);
  });

  test('loses nothing, doubles nothing and keeps the order when hints are dropped, doubled and reordered', async () => {
    const outbox = new MemoryLog();
    const items = aFeed(outbox).subscribe(outbox.tenant);
    await items.next();
    const taking = take(items, upTo(1_000));
    let held: LoggedFact | null = null;
    for (let i = 0; i < 1_000; i++) {
      const logged = outbox.append();
      const dice = Math.random();
      if (dice < 0.1) continue;
      if (dice < 0.15) held = logged;
      else await outbox.hint(logged);
      if (dice > 0.9) await outbox.hint(logged);
      if (held && dice > 0.5) {
        await outbox.hint(held);
        held = null;
      }
    }
    expect(seqs(await taking)).toEqual(range(1, 1_000));
  });

  test('gets a last fact whose hint was lost within the tail check', async () => {
    const outbox = new MemoryLog();
    const items = aFeed(outbox).subscribe(outbox.tenant);
    await items.next();
    const logged = outbox.append();
    expect((await items.next()).value).toEqual({ kind: 'fact', ...logged });
  });

  test('hears heartbeats with its position while it is quiet', async () => {
    const outbox = new MemoryLog();
    const items = aFeed(outbox, { heartbeatMs: 50 }).subscribe(outbox.tenant);
    await items.next();
    await outbox.hint(outbox.append());
    const taken = await take(items, (all) => all.filter(({ kind }) => kind === 'heartbeat').length === 2);
    expect(taken.at(-1)).toEqual({ kind: 'heartbeat', seq: 1 });
  });

  test('ignores a hint of another tenant or source in its channel', async () => {
    const outbox = new MemoryLog();
    const items = aFeed(outbox).subscribe(outbox.tenant);
    await items.next();
    const foreign = new MemoryLog().append();
    await outbox.hint(foreign);
    const own = outbox.append();
    expect((await items.next()).value).toEqual({ kind: 'fact', ...own });
  });
});

describe('resuming', () => {
  test('gets each fact exactly once and in order while more are written, then a heartbeat, then goes live', async () => {
    const outbox = new MemoryLog();
    for (let i = 0; i < 700; i++) outbox.append();
    const feed = aFeed(outbox, { ringSize: 16 });
    const watcher = feed.subscribe(outbox.tenant);
    const watching = take(watcher, upTo(1_200));
    const writing = (async () => {
      for (let i = 0; i < 500; i++) {
        const logged = outbox.append();
        if (i % 10 !== 0) await outbox.hint(logged);
      }
    })();
    const all = await Promise.all(
      [0, 1, 350, 699].map(async (after) => ({
        after,
        taken: await take(feed.subscribe(outbox.tenant, { after }), upTo(1_200)),
      })),
    );
    await writing;
    for (const { after, taken } of all) {
      expect(seqs(taken)).toEqual(range(after + 1, 1_200));
      const end = taken.findIndex(({ kind }) => kind === 'heartbeat');
      if (end > 0) expect(taken[end]?.seq).toBe(taken[end - 1]?.seq);
    }
    expect(seqs(await watching)).toEqual(range(701, 1_200));
  });

  test('cut at random a hundred times, a client misses nothing and gets nothing twice', async () => {
    const outbox = new MemoryLog();
    const feed = aFeed(outbox, { ringSize: 8 });
    const got: number[] = [];
    let isWriting = true;
    const writing = (async () => {
      for (let i = 0; i < 600; i++) {
        const logged = outbox.append();
        if (i % 7 !== 0) await outbox.hint(logged);
      }
      isWriting = false;
    })();
    let after = 0;
    for (let cut = 0; cut < 100 || isWriting || after < 600; cut++) {
      const items = feed.subscribe(outbox.tenant, { after });
      const count = Math.ceil(Math.random() * 20);
      for (const item of await take(items, (taken) => taken.length >= count || taken.at(-1)?.seq === 600)) {
        after = item.seq;
        if (item.kind === 'fact') got.push(item.seq);
      }
      await items.return?.();
      if (after === 600 && !isWriting) break;
    }
    await writing;
    expect(got).toEqual(range(1, 600));
  });

  test('from the ring does not touch the log', async () => {
    const outbox = new MemoryLog();
    const feed = aFeed(outbox, { tailCheckMs: 60_000 });
    const first = feed.subscribe(outbox.tenant);
    await first.next();
    await until(
      async () =>
        (await redis.commands.pubsub('NUMSUB', redis.keys.liveChannel(SOURCE, outbox.tenant.orgId)))[1] === 1,
    );
    for (let i = 0; i < 20; i++) await outbox.hint(outbox.append());
    await take(first, upTo(20));
    const { reads } = outbox;
    const items = feed.subscribe(outbox.tenant, { after: 5 });
    expect(seqs(await take(items, (taken) => taken.at(-1)?.kind === 'heartbeat'))).toEqual(range(6, 20));
    expect(outbox.reads).toBe(reads);
  });

  test('from before what is kept is told to resync and then goes on', async () => {
    const outbox = new MemoryLog();
    for (let i = 0; i < 20; i++) outbox.append();
    outbox.forgetUpTo(10);
    const items = aFeed(outbox).subscribe(outbox.tenant, { after: 3 });
    expect((await items.next()).value).toEqual({ kind: 'resync', seq: 20, reason: 'CURSOR_EXPIRED' });
    expect((await items.next()).value).toEqual({ kind: 'heartbeat', seq: 20 });
    outbox.append();
    expect((await items.next()).value).toMatchObject({ kind: 'fact', seq: 21 });
  });

  test('from a position that was never given is told to resync', async () => {
    const outbox = new MemoryLog();
    outbox.append();
    const items = aFeed(outbox).subscribe(outbox.tenant, { after: 1_000 });
    expect((await items.next()).value).toEqual({ kind: 'resync', seq: 1, reason: 'CURSOR_EXPIRED' });
  });
});

describe('a slow subscriber', () => {
  test('gets everything late, once and in order, while the others go on', async () => {
    const outbox = new MemoryLog();
    const feed = aFeed(outbox, { ringSize: 16 });
    const [slow, fast] = [feed.subscribe(outbox.tenant), feed.subscribe(outbox.tenant)];
    await Promise.all([slow.next(), fast.next()]);
    const fastTaken = take(fast, upTo(1_000));
    for (let i = 1; i <= 1_000; i++) await outbox.hint(outbox.append());
    expect(seqs(await fastTaken)).toEqual(range(1, 1_000));
    const slowTaken = await take(slow, upTo(1_000));
    expect(seqs(slowTaken)).toEqual(range(1, 1_000));
    expect(slowTaken.filter(({ kind }) => kind === 'resync')).toEqual([]);
    await outbox.hint(outbox.append());
    expect(seqs(await take(slow, upTo(1_001)))).toEqual([1_001]);
  });

  test('holds no more than its queue in memory, by size as well', async () => {
    const outbox = new MemoryLog();
    const feed = aFeed(outbox, { ringSize: 1 });
    const [slow, fast] = [feed.subscribe(outbox.tenant), feed.subscribe(outbox.tenant)];
    await Promise.all([slow.next(), fast.next()]);
    const fastTaken = take(fast, upTo(12));
    for (let i = 0; i < 12; i++) await outbox.hint(outbox.append('x'.repeat(100_000)));
    await fastTaken;
    const { reads } = outbox;
    expect(seqs(await take(slow, upTo(12)))).toEqual(range(1, 12));
    expect(outbox.reads).toBeGreaterThan(reads);
  });

  test('that falls behind what is kept is told to resync and then goes on', async () => {
    const outbox = new MemoryLog();
    const feed = aFeed(outbox, { ringSize: 16 });
    const [slow, fast] = [feed.subscribe(outbox.tenant), feed.subscribe(outbox.tenant)];
    await Promise.all([slow.next(), fast.next()]);
    const fastTaken = take(fast, upTo(500));
    for (let i = 1; i <= 500; i++) await outbox.hint(outbox.append());
    await fastTaken;
    outbox.forgetUpTo(400);
    const taken = await take(slow, (items) => items.at(-1)?.kind === 'heartbeat');
    expect(seqs(taken)).toEqual(range(1, 256));
    expect(taken.at(-2)).toEqual({ kind: 'resync', seq: 500, reason: 'CURSOR_EXPIRED' });
    outbox.append();
    expect(seqs(await take(slow, upTo(501)))).toEqual([501]);
  });

  test('replays at its own pace', async () => {
    const outbox = new MemoryLog();
    for (let i = 0; i < 1_000; i++) outbox.append();
    const items = aFeed(outbox).subscribe(outbox.tenant, { after: 0 });
    await until(() => outbox.reads > 0);
    await outbox.hint(outbox.append());
    expect(seqs(await take(items, upTo(1_001)))).toEqual(range(1, 1_001));
  });
});

describe('leaving', () => {
  test('ends at once although nothing happens, and the last to leave leaves nothing behind', async () => {
    const outbox = new MemoryLog();
    const live = aLive(redis);
    const feed = aFeed(outbox, {}, live);
    const [one, two] = [feed.subscribe(outbox.tenant), feed.subscribe(outbox.tenant)];
    await Promise.all([one.next(), two.next()]);
    const waiting = one.next();
    const left = performance.now();
    await one.return();
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(performance.now() - left).toBeLessThan(50);
    const logged = outbox.append();
    await outbox.hint(logged);
    expect((await two.next()).value).toEqual({ kind: 'fact', ...logged });
    await two.return();
    expect(feed.stats()).toEqual({ tenants: 0, subscribers: 0 });
    await until(() => live.stats().channels === 0);
    const channel = redis.keys.liveChannel(SOURCE, outbox.tenant.orgId);
    await until(async () => (await redis.commands.pubsub('NUMSUB', channel))[1] === 0);
  });

  test('a thousand comers and goers, some gone before they were told anything, leave no subscription', async () => {
    const outbox = new MemoryLog();
    const live = aLive(redis);
    const feed = aFeed(outbox, {}, live);
    for (let round = 0; round < 50; round++) {
      const items = Array.from({ length: 20 }, () => feed.subscribe(outbox.tenant, { after: 0 }));
      if (round % 2) await items[0]?.next();
      await Promise.all(items.map((one) => one.return()));
    }
    expect(feed.stats()).toEqual({ tenants: 0, subscribers: 0 });
    await until(() => live.stats().channels === 0 && live.stats().listeners === 0);
  });
});

describe('in an outage', () => {
  test('of Redis the log is polled, and hints are used again afterwards', async () => {
    const own = await startOwnRedis();
    const connections = await own.connect();
    const outbox = new MemoryLog();
    const live = aLive(connections);
    const items = aFeed(outbox, { tailCheckMs: 60_000 }, live).subscribe(outbox.tenant);
    await items.next();
    await until(() => live.stats().listeners === 1);
    await own.kill();
    await until(() => !live.isConnected());
    outbox.append();
    expect((await items.next()).value).toMatchObject({ kind: 'fact', seq: 1 });
    // A subscription can also begin without Redis.
    const late = aFeed(outbox, { tailCheckMs: 60_000 }, live).subscribe(outbox.tenant, { after: 0 });
    expect(seqs(await take(late, upTo(1)))).toEqual([1]);
    outbox.append();
    await own.restart();
    expect((await items.next()).value).toMatchObject({ kind: 'fact', seq: 2 });
    await connections.whenReady();
    const logged = outbox.append();
    await outbox.hint(logged, connections);
    expect((await items.next()).value).toEqual({ kind: 'fact', ...logged });
  });

  test('of the database facts wait, and none is missing afterwards', async () => {
    const outbox = new MemoryLog();
    const items = aFeed(outbox).subscribe(outbox.tenant);
    await items.next();
    outbox.fails = true;
    outbox.append();
    await outbox.hint(outbox.append());
    await until(() => outbox.failures > 1);
    outbox.fails = false;
    expect(seqs(await take(items, upTo(2)))).toEqual([1, 2]);
  });
});
