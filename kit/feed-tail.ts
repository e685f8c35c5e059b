import type { Live } from './live.ts';
import type { Log } from './log.ts';
import type { Fact } from './outbox.ts';
import type { Tenant } from './tenant-pool.ts';

/**
 * The live end of one tenant's log: every fact in order, none twice, none left out.
 *
 *   hint: seq ≤ last      known: ignored
 *         seq = last + 1  accepted
 *         seq > last + 1  a hint was lost: the log is read from `last`
 *   check (timer, reconnect, subscribed): the log's tail is compared with `last`, and read when it is ahead
 *
 * A tail that does not continue at last + 1 (older facts are no longer kept, or the database was restored to an
 * earlier state) is a break: it is told, and the tail goes on behind it.
 */
export interface LoggedFact {
  readonly seq: number;
  readonly fact: Fact;
}

/** The outbox, as much of it as a feed needs. */
export interface FeedLog {
  /** Facts behind `seq`, in order, at most `limit`. Positions follow each other without gaps. */
  readAfter(tenant: Tenant, seq: number, limit: number): Promise<readonly LoggedFact[]>;
  /** The last position; 0 before the first. */
  tail(tenant: Tenant): Promise<number>;
}

export interface SizedFact extends LoggedFact {
  /** Its length as JSON: what it counts in a bounded queue. */
  readonly bytes: number;
}

export interface TailOptions {
  tenant: Tenant;
  source: string;
  outbox: FeedLog;
  live: Live;
  log: Log;
  ringSize: number;
  onFact(fact: SizedFact): void;
  /** Facts up to `seq` will never come one by one. */
  onBreak(seq: number): void;
  /** A check is wanted as soon as possible. */
  onCheckWanted(): void;
}

export interface Tail {
  /** Resolves when the position is known; as long as the database is away, not. */
  readonly ready: Promise<void>;
  /** The last position accepted. Throws before `ready`. */
  readonly last: number;
  /** The facts behind `seq` out of the ring; null when it does not reach back that far. */
  recent(seq: number): SizedFact[] | null;
  /** Compares with the log and catches up. One at a time; false when the log could not be read. */
  check(): Promise<boolean>;
  close(): void;
}

/** About 100 kB of envelopes, read in a few milliseconds. */
const PAGE = 100;
const RETRY_MS_MAX = 1_000;

export function sized(logged: LoggedFact): SizedFact {
  return { seq: logged.seq, fact: logged.fact, bytes: JSON.stringify(logged.fact).length };
}

export function openTail(options: TailOptions): Tail {
  const { tenant, source, outbox, live, log, ringSize } = options;
  let last: number | null = null;
  let ring: SizedFact[] = [];
  /** The highest position a hint has told of. */
  let wanted = 0;
  let reading: Promise<boolean> | null = null;
  let checking: Promise<boolean> | null = null;
  let isClosed = false;
  let isOutage = false;

  function accept(fact: SizedFact): void {
    last = fact.seq;
    ring.push(fact);
    // Twice the size before cutting, so that the cut costs nothing per fact.
    if (ring.length >= ringSize * 2) ring = ring.slice(-ringSize);
    options.onFact(fact);
  }

  function breakAt(seq: number): void {
    ring = [];
    last = seq;
    options.onBreak(seq);
  }

  function onHint(message: unknown): void {
    const hint = message as Partial<LoggedFact> | null;
    if (isClosed || typeof hint?.seq !== 'number') return;
    const { seq, fact } = hint;
    wanted = Math.max(wanted, seq);
    if (last === null || seq <= last) return;
    const isOurs = fact?.orgId === tenant.orgId && fact.source === source;
    if (isOurs && seq === last + 1 && reading === null) accept(sized({ seq, fact }));
    else void read();
  }

  /** Reads the log from `last` on, as far as it goes. One at a time. */
  function read(): Promise<boolean> {
    reading ??= readOn();
    return reading;
  }

  async function readOn(): Promise<boolean> {
    try {
      for (;;) {
        const goal = wanted;
        const page = await outbox.readAfter(tenant, position(), PAGE);
        if (isClosed) return true;
        for (const logged of page) {
          if (logged.seq > position() + 1) breakAt(logged.seq - 1);
          if (logged.seq > position()) accept(sized(logged));
        }
        isOutage = false;
        // A hint that came while the page was on its way may tell of more than the page could show.
        if (position() >= wanted || (page.length === 0 && goal === wanted)) return true;
      }
    } catch (error) {
      noteOutage(error);
      return false;
    } finally {
      reading = null;
    }
  }

  async function compare(): Promise<boolean> {
    const before = position();
    let tail: number;
    try {
      tail = await outbox.tail(tenant);
    } catch (error) {
      noteOutage(error);
      return false;
    }
    if (isClosed) return true;
    isOutage = false;
    if (tail < before) {
      log.error({ orgId: tenant.orgId, tail, last: before }, 'The log ends before what was read from it');
      wanted = tail;
      breakAt(tail);
    }
    if (tail <= position()) return true;
    wanted = Math.max(wanted, tail);
    if (!(await read())) return false;
    if (!isClosed && position() < tail) breakAt(tail);
    return true;
  }

  /** Logged once per outage: subscribers are told nothing wrong, only later. */
  function noteOutage(error: unknown): void {
    if (!isOutage && !isClosed)
      log.warn({ error, orgId: tenant.orgId }, 'A feed cannot read its log; retrying');
    isOutage = true;
  }

  function position(): number {
    if (last === null) throw new Error('the tail is not ready');
    return last;
  }

  async function begin(): Promise<void> {
    for (let attempt = 0; !isClosed; attempt++) {
      try {
        last = await outbox.tail(tenant);
        isOutage = false;
        if (wanted > last) void read();
        return;
      } catch (error) {
        noteOutage(error);
        const ms = Math.min(50 * 2 ** attempt, RETRY_MS_MAX) * (0.5 + Math.random() / 2);
        await new Promise((resolve) => setTimeout(resolve, ms));
      }
    }
  }

  const listening = live.listen(live.keys.liveChannel(source, tenant.orgId), onHint, options.onCheckWanted);
  listening.then(
    // Whatever was published before Redis confirmed has been missed.
    () => !isClosed && options.onCheckWanted(),
    (error: unknown) => {
      if (!isClosed) log.error({ error, orgId: tenant.orgId }, 'A feed gets no hints and lives by polling');
    },
  );

  return {
    ready: begin(),
    get last() {
      return position();
    },
    recent(seq) {
      const first = ring[0]?.seq ?? position() + 1;
      return seq >= first - 1 ? ring.slice(seq - first + 1) : null;
    },
    check() {
      if (last === null || isClosed) return Promise.resolve(true);
      checking ??= compare().finally(() => {
        checking = null;
      });
      return checking;
    },
    close() {
      isClosed = true;
      listening.then(
        (leave) => leave(),
        () => {},
      );
    },
  };
}
