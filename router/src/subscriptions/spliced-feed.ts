/**
 * What one listener hears of a subscription that others hear as well.
 *
 *   from now on     the shared feed, after its greeting
 *   from a place    a private feed and the shared one side by side, until they meet (splice.ts)
 *   too slow        leaves the shared feed; later goes on from its place, as above
 *   refused         what the subgraph does not give to a group it may give to this person: private from then on
 */
import {
  type Feed,
  type FeedEnd,
  type FeedEvent,
  type FeedListener,
  type FeedSource,
  openFeed,
} from './feeds.ts';
import type { Seat } from './shared-feeds.ts';
import { createSplice, type Splice, type SpliceLimits } from './splice.ts';

export interface SplicedSource {
  /** Of this viewer, from the place that the operation names. */
  readonly own: FeedSource;
  attach(listener: FeedListener): Seat;
  /** Whether the operation goes on from a place. */
  readonly isResuming: boolean;
  readonly limits?: Partial<SpliceLimits> | undefined;
}

/** What a listener's queue holds, once more: a replay longer than that stays private. */
const LIMITS: SpliceLimits = { eventsMax: 256, bytesMax: 1024 * 1024 };

/** `after`: the position to go on from, in place of what the operation says. */
export function openSplicedFeed(
  source: SplicedSource,
  listener: FeedListener,
  after: number | null = null,
): Feed {
  const limits = { ...LIMITS, ...source.limits };
  let last = after;
  let seat: Seat | null = null;
  let own: Feed | null = null;
  let splice: Splice<FeedEvent> | null = null;
  /** Paused, left or over. */
  let isSilent = false;
  let isOver = false;

  /** A listener may pause within an event; what follows it is then not heard, and `last` says from where to go on. */
  function deliver(events: readonly FeedEvent[]): void {
    for (const event of events) {
      if (isSilent) return;
      last = event.position ?? last;
      listener.event(event);
    }
  }

  function leaveShared(): void {
    seat?.leave();
    seat = null;
  }

  function leaveOwn(): void {
    own?.leave();
    own = null;
  }

  function quit(): void {
    isSilent = true;
    splice = null;
    leaveShared();
    leaveOwn();
  }

  function fall(how: FeedEnd): void {
    isOver = true;
    quit();
    listener.ended(how);
  }

  function stayTogether(): void {
    if (splice?.state === 'private') leaveShared();
    else if (splice?.state === 'joined') leaveOwn();
  }

  function fromShared(event: FeedEvent): void {
    // A feed tells its one listener, or its many, each event once and in order.
    const heard = splice ? splice.fromShared(event) : [event];
    stayTogether();
    deliver(heard);
  }

  function fromOwn(event: FeedEvent): void {
    const heard = splice ? splice.fromPrivate(event) : [event];
    stayTogether();
    deliver(heard);
  }

  function sharedEnded(how: FeedEnd): void {
    seat = null;
    if (splice && splice.state !== 'joined') {
      splice.sharedEnded();
    } else if (how.kind === 'refused') {
      splice = null;
      listenAlone();
    } else fall(how);
  }

  function listenAlone(): void {
    own = openFeed(source.own, { event: fromOwn, ended: fall }, last);
  }

  /** Nothing is told before the one who asks has returned. */
  function attach(): Seat {
    seat = source.attach({ event: fromShared, ended: sharedEnded });
    return seat;
  }

  function catchUp(): void {
    splice = createSplice<FeedEvent>({ sent: last, heardFrom: attach().position, limits });
    listenAlone();
  }

  if (source.isResuming || after !== null) catchUp();
  else {
    const greeting = attach().greeting();
    if (greeting) deliver([greeting]);
  }
  return {
    pause() {
      if (last === null) return false;
      quit();
      return true;
    },
    resume() {
      if (!isSilent || isOver) return;
      isSilent = false;
      catchUp();
    },
    leave() {
      isOver = true;
      quit();
    },
  };
}
