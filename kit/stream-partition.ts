import { WORK_FIELD } from './keys.ts';
import type { Log } from './log.ts';
import type { RedisConnections } from './redis.ts';
import { isRetryable } from './retryable.ts';
import type { Lease } from './stream-leases.ts';

/**
 * One partition of one work stream in the hands of one lease holder: strictly in order, one entry at a time.
 *
 *   recover what was delivered and never acknowledged ─▶ read new ─▶ apply ─▶ acknowledge ─▶ … ─▶ idle until poked
 *
 * What happens to an entry:
 *   applied                                  acknowledged
 *   the infrastructure failed                waits with back-off, as long as it takes; not counted
 *   it failed                                again with back-off, up to DELIVERIES_MAX deliveries, then exhausted
 *   unreadable                               exhausted at once
 *   exhausted                                handed to `exhaust` until that succeeds, then acknowledged
 *
 * The count lives in Redis (the group's pending list), so it survives restarts and holders. All holders use one
 * consumer name: the lease says who it is, and what a dead holder left pending is the next one's without claiming.
 */
export interface Entry {
  readonly source: string;
  readonly partition: number;
  readonly id: string;
  readonly text: string;
}

export interface PartitionOptions {
  lease: Lease;
  stream: string;
  group: string;
  redis: RedisConnections;
  /** Rejects to be called again. Throws UnreadableError for an entry that will never make sense. */
  apply(entry: Entry): Promise<void>;
  exhaust(entry: Entry, error: unknown, attempts: number): Promise<void>;
  retryAfterMs(failures: number): number;
  log: Log;
}

export class UnreadableError extends Error {
  override readonly name = 'UnreadableError';
}

export interface PartitionReader {
  /** The stream's last id when this reader began: what is behind it needs a poke. Null until recovered. */
  readonly beganAt: string | null;
  /** There may be something new. */
  poke(): void;
  /** Finishes the entry in hand; what else was read stays pending. Resolves with `done`. */
  stop(): Promise<void>;
  /** Resolves when the reader has ended: stopped, lease lost or surplus. Never rejects. */
  readonly done: Promise<void>;
}

export const DELIVERIES_MAX = 5;
/** An entry delivered this often without any verdict has taken the process down each time. */
const DELIVERIES_WITHOUT_VERDICT_MAX = 2 * DELIVERIES_MAX;
const CONSUMER_NAME = 'holder';
/** Small: what is read but not yet applied is delivered again after a crash. */
const BATCH = 32;
const PENDING_MAX = 1_000;

const FENCED = `if redis.call('GET', KEYS[1]) ~= ARGV[1] then return false end
local stream, group, consumer = KEYS[2], ARGV[2], ARGV[3]
`;

const RECOVER = `${FENCED}
redis.pcall('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
local info, last = redis.call('XINFO', 'STREAM', stream), '0-0'
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' then last = info[i + 1] end
end
local entries = {}
for _, pending in ipairs(redis.call('XPENDING', stream, group, '-', '+', ARGV[4])) do
  local found = redis.call('XRANGE', stream, pending[1], pending[1])[1]
  entries[#entries + 1] = { pending[1], pending[4], found and found[2] or false }
end
return { last, entries }`;

const READ = `${FENCED}
local reply = redis.call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', ARGV[4], 'STREAMS', stream, '>')
return { reply and reply[1][2] or {} }`;

const COUNT = `${FENCED}
redis.call('XCLAIM', stream, group, consumer, 0, ARGV[4], 'RETRYCOUNT', ARGV[5], 'JUSTID')
return 1`;

const ACKNOWLEDGE = `${FENCED}
return { redis.call('XACK', stream, group, ARGV[4]) }`;

interface Delivery {
  id: string;
  fields: string[] | null;
  /** How often it has been delivered, this time included. */
  deliveries: number;
  /** Whether Redis knows that count already. */
  counted: boolean;
}

class LeaseLost extends Error {}

export function openPartition(options: PartitionOptions): PartitionReader {
  const { lease, stream, group, redis, log } = options;
  let stopping = false;
  let wake = () => {};
  let poked = false;
  let beganAt: string | null = null;

  const mayContinue = () => !stopping && !lease.surplus && performance.now() < lease.validUntil;

  async function fenced(script: string, ...args: (string | number)[]): Promise<unknown> {
    const reply = await redis.commands.eval(
      script,
      2,
      lease.key,
      stream,
      lease.value,
      group,
      CONSUMER_NAME,
      ...args,
    );
    if (reply === null) throw new LeaseLost();
    return reply;
  }

  /** Ends early when poked or stopped. */
  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** A back-off: pokes do not shorten it, stopping does. */
  async function backOff(ms: number): Promise<void> {
    const until = performance.now() + ms;
    for (let left = ms; left > 0 && mayContinue(); left = until - performance.now()) {
      await pause(Math.min(left, BACK_OFF_SLICE_MS));
    }
  }

  async function run(): Promise<void> {
    const [last, pending] = (await fenced(RECOVER, PENDING_MAX)) as [
      string,
      [string, number, string[] | null][],
    ];
    beganAt = last;
    for (const [id, count, fields] of pending) {
      await handle({ id, fields, deliveries: count + 1, counted: false });
    }
    // More than one page was pending: the rest is found when this partition is opened again.
    if (pending.length === PENDING_MAX) return;
    while (mayContinue()) {
      poked = false;
      const [entries] = (await fenced(READ, BATCH)) as [[string, string[]][]];
      for (const [id, fields] of entries) await handle({ id, fields, deliveries: 1, counted: true });
      if (entries.length === 0 && !poked && mayContinue()) await pause(IDLE_MS);
    }
  }

  /** Returns when the entry has been acknowledged; throws LeaseLost when it must be left to somebody else. */
  async function handle(delivery: Delivery): Promise<void> {
    if (delivery.fields === null) {
      log.error({ stream, entry: delivery.id }, 'A pending entry was trimmed before it was handled');
      return acknowledge(delivery.id);
    }
    const { id } = delivery;
    const entry: Entry = {
      source: lease.source,
      partition: lease.partition,
      id,
      text: textOf(delivery.fields),
    };
    if (delivery.deliveries > DELIVERIES_WITHOUT_VERDICT_MAX) {
      const error = new Error('delivered again and again without ever being finished');
      return exhaust(entry, error, delivery.deliveries - 1);
    }
    let { deliveries, counted } = delivery;
    for (let waits = 0; ; ) {
      if (!mayContinue()) throw new LeaseLost();
      if (!counted) await count(id, deliveries);
      counted = true;
      try {
        await options.apply(entry);
        return await acknowledge(id);
      } catch (error) {
        if (error instanceof LeaseLost) throw error;
        if (error instanceof UnreadableError) return exhaust(entry, error, deliveries);
        if (isRetryable(error)) {
          if (waits === 0) {
            log.warn({ stream, entry: id, error }, 'A fact waits for the infrastructure');
            await count(id, deliveries - 1);
          }
          await backOff(waitAfterMs(++waits));
          continue;
        }
        if (deliveries >= DELIVERIES_MAX) return exhaust(entry, error, deliveries);
        log.warn({ stream, entry: id, deliveries, error }, 'A fact could not be applied; trying again');
        await backOff(options.retryAfterMs(deliveries));
        deliveries += 1;
        counted = false;
      }
    }
  }

  /** Only after `exhaust` has kept it somewhere may the stream forget it. */
  async function exhaust(entry: Entry, error: unknown, attempts: number): Promise<void> {
    for (let waits = 0; ; ) {
      if (!mayContinue()) throw new LeaseLost();
      try {
        await options.exhaust(entry, error, attempts);
        return await acknowledge(entry.id);
      } catch (failure) {
        if (failure instanceof LeaseLost) throw failure;
        if (waits === 0) {
          log.error(
            { stream, entry: entry.id, error: failure },
            'A fact could not be put aside; trying again',
          );
        }
        await backOff(waitAfterMs(++waits));
      }
    }
  }

  /** The count is a courtesy to the next holder: when Redis is away, the work goes on without it. */
  async function count(id: string, deliveries: number): Promise<void> {
    await fenced(COUNT, id, Math.max(deliveries, 0)).catch((error: unknown) => {
      if (error instanceof LeaseLost) throw error;
    });
  }

  /** What was applied is acknowledged even while stopping, as long as the lease lasts. */
  async function acknowledge(id: string): Promise<void> {
    for (let waits = 0; ; ) {
      try {
        await fenced(ACKNOWLEDGE, id);
        return;
      } catch (error) {
        if (error instanceof LeaseLost || performance.now() >= lease.validUntil) throw new LeaseLost();
        await pause(waitAfterMs(++waits));
      }
    }
  }

  const done = run().catch((error: unknown) => {
    if (!(error instanceof LeaseLost) && !isRetryable(error)) {
      log.error({ stream, error }, 'Reading a partition failed; it is opened again');
    }
  });

  return {
    get beganAt() {
      return beganAt;
    },
    poke() {
      poked = true;
      wake();
    },
    stop() {
      stopping = true;
      wake();
      return done;
    },
    done,
  };
}

/** An idle partition looks for itself this often, in case a wake-up was lost. */
const IDLE_MS = 2_000;
/** How soon a back-off notices that its lease has been lost. */
const BACK_OFF_SLICE_MS = 200;
const WAIT_MS_MAX = 1_000;

/** Waiting for the infrastructure: 50 ms, doubling, jittered. */
function waitAfterMs(waits: number): number {
  return Math.min(50 * 2 ** Math.min(waits - 1, 10), WAIT_MS_MAX) * (0.5 + Math.random() / 2);
}

function textOf(fields: string[]): string {
  const at = fields.indexOf(WORK_FIELD);
  return at === -1 ? '' : (fields[at + 1] ?? '');
}
