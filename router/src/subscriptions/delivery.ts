/**
 * One subscription operation on its way to one client.
 *
 *   feed ──event──▶ queue (≤ 256 events, ≤ 1 MB) ──one at a time──▶ render (`rest`) ──frame──▶ socket
 *
 * A full queue pauses the feed, which is asked again, from its last position, once the queue has drained: a burst
 * or a long replay costs time, never an event. A client that takes no frame for `stallMs` while its queue is full
 * is too slow: the operation ends with RATE_LIMITED and the cursor of the last event it was sent. Nothing is
 * dropped in silence.
 *
 * Frames are written here, already serialised; graphql-ws only learns of the end (see `iterated`).
 */
import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import type { Feed, FeedEnd, FeedEvent, FeedListener } from './feeds.ts';

export interface DeliveryOptions {
  /** Opens the feed; called once, when the client starts to listen. */
  open(listener: FeedListener): Feed;
  /** Resolves when the connection has taken the payload, or is gone. `cursor`: where to go on after this event. */
  write(payload: string, cursor: string | null): Promise<void>;
  /** Bytes that wait in the client's socket. */
  bufferedBytes(): number;
  /** What the client is told when the operation ends otherwise than by completion. */
  explain(end: Failure): Promise<GraphQLFormattedError>;
  limits?: Partial<DeliveryLimits>;
}

export interface DeliveryLimits {
  eventsMax: number;
  bytesMax: number;
  stallMs: number;
}

const LIMITS: DeliveryLimits = {
  // A quarter of an hour of one busy board, or the burst of one bulk edit.
  eventsMax: 256,
  // With 10 sockets a user and 50 operations a socket this bounds what one person can make us hold.
  bytesMax: 1024 * 1024,
  // Longer than a phone's change of network, shorter than the ping that finds a dead peer.
  stallMs: 5_000,
};
/** The feed is asked again at a quarter, so that a pause is worth its round trip. */
const RESUME_SHARE = 0.25;

/** An operation under way. */
export interface Delivery {
  /** Resolves when the operation is complete or left, rejects with what the client is told. Called at most once. */
  run(): Promise<void>;
  /** The client wants no more of it; the subgraph is told at once. Safe to call twice. */
  leave(): void;
  /** We want no more of it: what waits is dropped, and the client is told `error` with the cursor of its last event. */
  stop(error: Error): void;
}

/** An end that the client must hear of. */
export type Failure =
  | Exclude<FeedEnd, { kind: 'completed' }>
  | { readonly kind: 'too-slow' }
  | { readonly kind: 'stopped'; readonly error: Error };
type Ending = { readonly kind: 'left' } | { readonly kind: 'completed' } | Failure;

export function createDelivery(options: DeliveryOptions): Delivery {
  const limits = { ...LIMITS, ...options.limits };
  const queue: FeedEvent[] = [];
  let queuedBytes = 0;
  let cursor: string | null = null;
  let ending: Ending | null = null;
  let feed: Feed | null = null;
  let isPaused = false;
  let isWriting = false;
  let stall: NodeJS.Timeout | undefined;
  let wake = () => {};

  function isFuller(share: number): boolean {
    return (
      queue.length >= limits.eventsMax * share ||
      queuedBytes + options.bufferedBytes() >= limits.bytesMax * share
    );
  }

  function end(how: Ending): void {
    ending ??= how;
    clearTimeout(stall);
    wake();
  }

  /** Only the client is judged: while an event is being rendered, the time is ours. */
  function giveUpOnStall(): void {
    clearTimeout(stall);
    stall = setTimeout(() => (isWriting ? tooSlow() : giveUpOnStall()), limits.stallMs);
  }

  /** Ends it without waiting for what is in hand. */
  function abandon(how: Ending): void {
    feed?.leave();
    queue.length = 0;
    end(how);
  }

  const tooSlow = () => abandon({ kind: 'too-slow' });
  const isStopped = () => ending?.kind === 'stopped';
  const isAbandoned = () => isStopped() || ending?.kind === 'left' || ending?.kind === 'too-slow';

  function take(event: FeedEvent): void {
    if (ending || isPaused) return;
    queue.push(event);
    queuedBytes += event.bytes;
    wake();
    if (!isFuller(1)) return;
    isPaused = feed?.pause() ?? false;
    if (isPaused) giveUpOnStall();
    else tooSlow();
  }

  /** After a frame was taken: the client is alive, and may have made room. */
  function drained(): void {
    if (!isPaused || ending) return;
    if (isFuller(RESUME_SHARE)) {
      giveUpOnStall();
      return;
    }
    clearTimeout(stall);
    isPaused = false;
    feed?.resume();
  }

  /** Settles with the work, or as soon as there is no more reason to wait for it. */
  function unless<T>(isOver: () => boolean, work: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      wake = () => {
        if (isOver()) resolve(undefined);
      };
      work.then(resolve, reject);
      wake();
    });
  }

  async function deliver(event: FeedEvent): Promise<void> {
    // A client that has left hears nothing more, and its work is waited for; one that must be told hears it now.
    const payload = await unless(isStopped, event.payload());
    if (payload === undefined || isAbandoned()) return;
    isWriting = true;
    const written = options.write(payload, event.cursor);
    cursor = event.cursor ?? cursor;
    await unless(isAbandoned, written);
    isWriting = false;
    drained();
  }

  async function run(): Promise<void> {
    if (!ending) feed = options.open({ event: take, ended: end });
    for (;;) {
      const event = queue.shift();
      if (event) {
        queuedBytes -= event.bytes;
        await deliver(event);
      } else if (ending) {
        break;
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
    const how = ending as Ending;
    if (how.kind === 'left' || how.kind === 'completed') return;
    throw endedError(await options.explain(how), cursor);
  }

  return {
    run,
    leave: () => abandon({ kind: 'left' }),
    stop: (error) => abandon({ kind: 'stopped', error }),
  };
}

/** What ends an operation, with the cursor to go on from. graphql-ws sends its JSON as the error frame. */
function endedError({ message, extensions }: GraphQLFormattedError, cursor: string | null): GraphQLError {
  return new GraphQLError(message, { extensions: { ...extensions, ...(cursor === null ? {} : { cursor }) } });
}

/**
 * A delivery as graphql-ws takes it: an async generator that yields nothing, whose end is the `complete` frame and
 * whose throw is the `error` frame. Leaving ends the iteration at once, however long the work in hand takes;
 * `settled` is called when that work is over, too.
 */
export function iterated(
  delivery: Pick<Delivery, 'run' | 'leave'>,
  on: { left(): void; settled(): void },
): AsyncGenerator<never, void, void> {
  const over: IteratorResult<never, void> = { done: true, value: undefined };
  const left = Promise.withResolvers<IteratorResult<never, void>>();
  let isStarted = false;
  let isLeft = false;
  const itself: AsyncGenerator<never, void, void> = {
    next() {
      isStarted = true;
      const run = delivery.run().finally(on.settled);
      return Promise.race([run.then(() => over), left.promise]);
    },
    async return() {
      if (isLeft) return over;
      isLeft = true;
      on.left();
      delivery.leave();
      if (!isStarted) on.settled();
      left.resolve(over);
      return over;
    },
    throw: (error) => Promise.reject(error),
    [Symbol.asyncIterator]: () => itself,
    async [Symbol.asyncDispose]() {
      await itself.return();
    },
  };
  return itself;
}
