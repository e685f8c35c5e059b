import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createSplice, type Placed, type Splice } from './splice.ts';

interface Told extends Placed {
  readonly position: number;
}

const NO_LIMITS = { eventsMax: Number.POSITIVE_INFINITY, bytesMax: Number.POSITIVE_INFINITY };
const told = (position: number, kind: Placed['kind'] = 'event'): Told => ({ position, kind, bytes: 10 });
const positionsOf = (events: readonly Placed[], kind = 'event') =>
  events.filter((event) => event.kind === kind).map(({ position }) => position);

/**
 * A log of one tenant, and two feeds that read it in steps of their own. `isOurs`: which positions the subscription is about.
 * A feed tells the next of those, or, when it has none, a heartbeat of where it is.
 */
function aFeedOver(log: readonly boolean[], from: number) {
  let at = from;
  return {
    position: () => at,
    /** Looks `steps` positions further; null when there is nothing to tell. */
    tell(steps: number): Told {
      const until = Math.min(log.length, at + steps);
      while (at < until) {
        at += 1;
        if (log[at - 1]) return told(at, at % 7 === 0 ? 'resync' : 'event');
      }
      return told(at, 'heartbeat');
    },
  };
}

const aLog = fc.array(fc.boolean(), { minLength: 1, maxLength: 40 });
const someSteps = fc.array(fc.record({ isShared: fc.boolean(), steps: fc.integer({ min: 1, max: 6 }) }), {
  maxLength: 80,
});

function run(
  log: readonly boolean[],
  {
    after,
    sharedAt,
    isKnown,
    eventsMax = Number.POSITIVE_INFINITY,
  }: {
    after: number;
    sharedAt: number;
    /** Whether the shared feed has told its position before this listener came. */
    isKnown: boolean;
    eventsMax?: number;
  },
  steps: readonly { isShared: boolean; steps: number }[],
) {
  const splice = createSplice<Told>({
    sent: after,
    heardFrom: isKnown ? sharedAt : null,
    limits: { ...NO_LIMITS, eventsMax },
  });
  const shared = aFeedOver(log, sharedAt);
  const own = aFeedOver(log, after);
  const delivered: Told[] = [];
  const states: Splice<Told>['state'][] = [splice.state];
  // A feed that has just been opened says first where it is.
  if (!isKnown) delivered.push(...splice.fromShared(told(sharedAt, 'heartbeat')));
  const step = (isShared: boolean, count: number) => {
    delivered.push(
      ...(isShared ? splice.fromShared(shared.tell(count)) : splice.fromPrivate(own.tell(count))),
    );
    states.push(splice.state);
  };
  for (const { isShared, steps: count } of steps) step(isShared, count);
  // In the end both feeds have told everything.
  for (let n = 0; n <= log.length; n++) step(n % 2 === 0, log.length);
  for (let n = 0; n <= log.length; n++) step(true, log.length);
  for (let n = 0; n <= log.length; n++) step(false, log.length);
  return { splice, delivered, states };
}

const places = aLog.chain((log) =>
  fc.record({
    log: fc.constant(log),
    after: fc.integer({ min: 0, max: log.length }),
    sharedAt: fc.integer({ min: 0, max: log.length }),
    isKnown: fc.boolean(),
  }),
);

function expected(log: readonly boolean[], after: number): number[] {
  return log.flatMap((isOurs, index) => (isOurs && index + 1 > after ? [index + 1] : []));
}

describe('whichever feed is faster, and wherever the two are', () => {
  test('each event behind the place is delivered once, in order', () => {
    fc.assert(
      fc.property(places, someSteps, ({ log, after, sharedAt, isKnown }, steps) => {
        const { splice, delivered } = run(log, { after, sharedAt, isKnown }, steps);
        const events = delivered.filter(({ kind }) => kind !== 'heartbeat');
        expect(events.map(({ position }) => position)).toEqual(expected(log, after));
        expect(splice.state).toBe('joined');
      }),
      { numRuns: 2_000 },
    );
  });

  test('heartbeats never go back behind what was delivered', () => {
    fc.assert(
      fc.property(places, someSteps, ({ log, after, sharedAt, isKnown }, steps) => {
        const { delivered } = run(log, { after, sharedAt, isKnown }, steps);
        const positions = delivered.map(({ position }) => position);
        expect(positions).toEqual(positions.toSorted((one, other) => one - other));
      }),
      { numRuns: 500 },
    );
  });

  test('a buffer that overflows leaves the private feed alone, for good, and loses nothing', () => {
    fc.assert(
      fc.property(places, someSteps, fc.integer({ min: 0, max: 3 }), (place, steps, eventsMax) => {
        const { splice, delivered, states } = run(place.log, { ...place, eventsMax }, steps);
        const events = delivered.filter(({ kind }) => kind !== 'heartbeat');
        expect(events.map(({ position }) => position)).toEqual(expected(place.log, place.after));
        const alone = states.indexOf('private');
        if (alone >= 0) expect(new Set(states.slice(alone))).toEqual(new Set(['private']));
        else expect(splice.state).toBe('joined');
      }),
      { numRuns: 2_000 },
    );
  });
});

test('a ResyncRequired that goes back ends a replay at once, and its positions count from then on', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 90 }),
      fc.boolean(),
      fc.array(fc.integer({ min: 1, max: 99 }), { maxLength: 10 }),
      (after, isJoined, replayed) => {
        const splice = createSplice<Told>({ sent: after, heardFrom: 100, limits: NO_LIMITS });
        for (const position of new Set(replayed.toSorted((a, b) => a - b)))
          splice.fromPrivate(told(position));
        if (isJoined) splice.fromPrivate(told(100));
        splice.fromShared(told(101));
        const reset = splice.fromShared(told(50, 'resync'));
        const next = [51, 52].flatMap((position) => splice.fromShared(told(position)));
        expect(positionsOf(reset, 'resync')).toEqual([50]);
        expect(positionsOf(next)).toEqual([51, 52]);
        expect(splice.fromPrivate(told(102))).toEqual([]);
      },
    ),
  );
});

test('where the shared feed tells no positions, the listener stays with its own', () => {
  const splice = createSplice<Placed>({ sent: 1, heardFrom: null, limits: NO_LIMITS });
  splice.fromShared({ position: null, kind: 'event', bytes: 1 });
  expect(splice.state).toBe('private');
  expect(positionsOf(splice.fromPrivate(told(2)))).toEqual([2]);
  expect(splice.fromShared(told(3))).toEqual([]);
});

test('what the buffer weighs counts too, and a shared feed that ends leaves the private one', () => {
  const limits = { eventsMax: 100, bytesMax: 15 };
  const heavy = createSplice<Told>({ sent: 1, heardFrom: 5, limits });
  heavy.fromShared(told(6));
  expect(heavy.state).toBe('replaying');
  heavy.fromShared(told(7));
  expect(heavy.state).toBe('private');
  const ended = createSplice<Told>({ sent: 1, heardFrom: 5, limits });
  ended.sharedEnded();
  expect(positionsOf(ended.fromPrivate(told(6)))).toEqual([6]);
});
