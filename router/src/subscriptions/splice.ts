/**
 * How a listener that goes on from a place of its own comes into a feed that is shared.
 *
 *                   private feed, from its place on ─────────────┐
 *   replaying   ◀───┘                                            │ covers all that the shared feed had told
 *     │   ▲         shared feed: buffered meanwhile, bounded     ▼ before it was heard
 *     │   └──────────────────────────────────────────────────  joined      the buffer, then the shared feed alone
 *     └── the buffer is full, or an event has no position ───▶  private     the shared feed is not heard any more
 *
 * Positions of one tenant's events are integers that only rise, whichever feed tells them; a feed tells each event once and in order,
 * but not every number (the others are none of its business). A heartbeat says that everything up to it was told.
 * Invariant: what is delivered is the events behind the place, each once, in order. Only a ResyncRequired may go back, within one
 * feed: it says that the positions before it mean nothing any more. From the shared feed it ends a replay on the spot. One that
 * rises is an event like others: the private feed tells it as well. No I/O and no time here.
 */
export interface Placed {
  /** Null from a subgraph that tells no positions. */
  readonly position: number | null;
  readonly kind: 'event' | 'heartbeat' | 'resync';
  readonly bytes: number;
}

export interface SpliceLimits {
  readonly eventsMax: number;
  readonly bytesMax: number;
}

export interface Splice<E extends Placed> {
  readonly state: 'replaying' | 'joined' | 'private';
  /** What is to be delivered now, in order. */
  fromPrivate(event: E): readonly E[];
  fromShared(event: E): readonly E[];
  /** The shared feed is gone. */
  sharedEnded(): void;
}

/** Whether an event is new to who has been sent everything up to `sent`. */
export function isNews({ position, kind }: Placed, sent: number | null): boolean {
  if (position === null || sent === null || kind === 'resync') return true;
  return kind === 'heartbeat' ? position >= sent : position > sent;
}

/**
 * `sent`: the place; null when the private feed alone knows it. `heardFrom`: the shared feed is heard completely behind this
 * position; null while it has not told any.
 */
export function createSplice<E extends Placed>(start: {
  sent: number | null;
  heardFrom: number | null;
  limits: SpliceLimits;
}): Splice<E> {
  const { limits } = start;
  let { sent, heardFrom } = start;
  let state: Splice<E>['state'] = 'replaying';
  let buffer: E[] = [];
  let bufferedBytes = 0;
  let sharedAt = heardFrom;

  function giveUp(): void {
    state = 'private';
    buffer = [];
  }

  function deliver(event: E): readonly E[] {
    sent = event.position ?? sent;
    return [event];
  }

  function pass(event: E): readonly E[] {
    const { position, kind } = event;
    const isKnown =
      position !== null && sent !== null && (kind === 'heartbeat' ? position < sent : position <= sent);
    return isKnown ? [] : deliver(event);
  }

  function joinIfCovered(): readonly E[] {
    if (sent === null || heardFrom === null || sent < heardFrom) return [];
    state = 'joined';
    const waiting = buffer;
    buffer = [];
    return waiting.flatMap(pass);
  }

  function keep(event: E, position: number): void {
    heardFrom ??= event.kind === 'heartbeat' ? position : position - 1;
    buffer.push(event);
    bufferedBytes += event.bytes;
    if (buffer.length > limits.eventsMax || bufferedBytes > limits.bytesMax) giveUp();
  }

  return {
    get state() {
      return state;
    },
    fromPrivate(event) {
      if (state === 'joined') return [];
      const delivered = deliver(event);
      return state === 'private' ? delivered : [...delivered, ...joinIfCovered()];
    },
    fromShared(event) {
      if (state === 'private') return [];
      const { position, kind } = event;
      if (position === null) {
        if (state === 'joined') return deliver(event);
        giveUp();
        return [];
      }
      const goesBack = kind === 'resync' && sharedAt !== null && position < sharedAt;
      sharedAt = position;
      if (goesBack) {
        state = 'joined';
        buffer = [];
        return deliver(event);
      }
      if (state === 'joined') return pass(event);
      keep(event, position);
      return state === 'replaying' ? joinIfCovered() : [];
    },
    sharedEnded: giveUp,
  };
}
