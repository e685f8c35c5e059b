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
 * graphql-ws iterates this as an async generator that yields nothing: frames are written here, already
 * serialised; the end of the iteration is the `complete` frame, and a throw the `error` frame.
 */
import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import type { Feed, FeedEnd, FeedEvent, FeedListener } from './feeds.ts';

export interface DeliveryOptions {
  /** Opens the feed; called once, when the client starts to listen. */
  open(listener: FeedListener): Feed;
  /** The event as the client selected it: the payload of its frame, as JSON. Must not reject. */
  render(event: FeedEvent): Promise<string>;
  /** Resolves when the socket has taken the payload, or is gone. */
  write(payload: string): Promise<void>;
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

export type Delivery = AsyncGenerator<never, void, void>;

/** An end that the client must hear of. */
export type Failure = Exclude<FeedEnd, { kind: 'completed' }> | { readonly kind: 'too-slow' };
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
  let stall: NodeJS.Timeout | null = null;
  let wake = () => {};

  function isFuller(share: number): boolean {
    return (
      queue.length >= limits.eventsMax * share ||
      queuedBytes + options.bufferedBytes() >= limits.bytesMax * share
    );
  }

  function end(how: Ending): void {
    ending ??= how;
    if (stall) clearTimeout(stall);
    stall = null;
    wake();
  }

  /** Only the client is judged: while an event is being rendered, the time is ours. */
  function giveUpOnStall(): void {
    if (stall) clearTimeout(stall);
    stall = setTimeout(() => (isWriting ? tooSlow() : giveUpOnStall()), limits.stallMs);
  }

  function tooSlow(): void {
    feed?.leave();
    queue.length = 0;
    end({ kind: 'too-slow' });
  }

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
    if (isFuller(RESUME_SHARE)) return giveUpOnStall();
    if (stall) clearTimeout(stall);
    stall = null;
    isPaused = false;
    feed?.resume();
  }

  /** Settles with the work, or as soon as there is no more reason to wait for it. */
  function unlessEndedNow(work: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      wake = () => {
        if (ending?.kind === 'left' || ending?.kind === 'too-slow') resolve();
      };
      work.then(resolve, reject);
      wake();
    });
  }

  async function deliver(event: FeedEvent): Promise<void> {
    const payload = await options.render(event);
    if (ending?.kind === 'left' || ending?.kind === 'too-slow') return;
    isWriting = true;
    const written = options.write(payload);
    cursor = event.cursor ?? cursor;
    await unlessEndedNow(written);
    isWriting = false;
    drained();
  }

  async function run(): Promise<IteratorResult<never, void>> {
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
    if (how.kind === 'left' || how.kind === 'completed') return { done: true, value: undefined };
    throw endedError(await options.explain(how), cursor);
  }

  return {
    next: run,
    async return() {
      feed?.leave();
      queue.length = 0;
      end({ kind: 'left' });
      return { done: true, value: undefined };
    },
    throw: (error) => Promise.reject(error),
    [Symbol.asyncIterator]() {
      return this;
    },
    async [Symbol.asyncDispose]() {
      await this.return();
    },
  };
}

/** What ends an operation, with the cursor to go on from. graphql-ws sends its JSON as the error frame. */
function endedError({ message, extensions }: GraphQLFormattedError, cursor: string | null): GraphQLError {
  return new GraphQLError(message, { extensions: { ...extensions, ...(cursor === null ? {} : { cursor }) } });
}

/**
 * The same delivery, for graphql-ws and its session: leaving ends the iteration at once, however long the work
 * in hand takes, and `settled` is called once that work is over, too.
 */
export function watched(delivery: Delivery, on: { left(): void; settled(): void }): Delivery {
  let isStarted = false;
  let isLeft = false;
  let finish = (_: IteratorResult<never, void>) => {};
  const left = new Promise<IteratorResult<never, void>>((resolve) => {
    finish = resolve;
  });
  const over: IteratorResult<never, void> = { done: true, value: undefined };
  const itself: Delivery = {
    next() {
      isStarted = true;
      return Promise.race([delivery.next().finally(on.settled), left]);
    },
    async return() {
      if (isLeft) return over;
      isLeft = true;
      on.left();
      if (!isStarted) on.settled();
      finish(over);
      void delivery.return();
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
