/**
 * Random lives of a listener over HTTP: events come, it reads some, reads nothing, loses its connection, comes back with the
 * cursor of the last event that it has whole. Whatever the order: it has every event once, and in order.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { aWorld, type Stream, until, type World } from './world.ts';

const EVENTS =
  'subscription ($after: String) { taskEvents(after: $after) { ... on TaskChange { number cursor text } } }';

const RUNS = 12;
/** Small, so that slow reading is met often: the queue is full after a few events, and patience is short. */
const DELIVERY = { eventsMax: 4, stallMs: 30 };
/** A few of the large ones fill the buffers between here and there. */
const BYTES = [10, 300_000];

type Step =
  | { readonly kind: 'push'; readonly count: number; readonly bytes: number }
  | { readonly kind: 'read'; readonly count: number }
  | { readonly kind: 'rest'; readonly ms: number }
  | { readonly kind: 'cut' };

const aStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('push' as const),
      count: fc.integer({ min: 1, max: 30 }),
      bytes: fc.constantFrom(...BYTES),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('read' as const), count: fc.integer({ min: 1, max: 20 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('rest' as const),
      ms: fc.integer({ min: 0, max: 3 * DELIVERY.stallMs }),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ kind: 'cut' as const }) },
);

const KINDS = ['text/event-stream', 'multipart/mixed;subscriptionSpec=1.0'];

/** Each run begins with these, so that a client that is too slow is among the lives whatever the seed. */
const STALLED: [string, Step[]][] = KINDS.map((accept) => [
  accept,
  [
    { kind: 'read', count: 1 },
    { kind: 'push', count: 2, bytes: 10 },
    { kind: 'read', count: 1 },
    { kind: 'push', count: 30, bytes: 300_000 },
    { kind: 'rest', ms: 10 * DELIVERY.stallMs },
    { kind: 'push', count: 3, bytes: 10 },
  ],
]);

test('whatever a listener does and suffers, it has every event once and in order when it goes on from its last cursor', async () => {
  const world = await aWorld({ delivery: DELIVERY, heartbeatMs: 5 });
  let tooSlow = 0;
  let resumed = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...KINDS),
      fc.array(aStep, { minLength: 3, maxLength: 14 }),
      async (accept, steps) => {
        const listener = new Listener(world, accept);
        for (const step of steps) {
          if (step.kind === 'push')
            for (let count = 0; count < step.count; count++) world.log.push('x'.repeat(step.bytes));
          else if (step.kind === 'read') await listener.read(step.count);
          else if (step.kind === 'cut') listener.cut();
          else await new Promise((resolve) => setTimeout(resolve, step.ms));
        }
        await listener.read(Number.POSITIVE_INFINITY);
        listener.cut();
        const pushed = world.log.events.slice(listener.start).map(({ position }) => position);
        expect(listener.numbers).toEqual(pushed);
        tooSlow += listener.tooSlow;
        resumed += listener.resumed;
        await until(() => world.log.open === 0, 'the subgraph to be left');
      },
    ),
    { numRuns: RUNS, examples: STALLED },
  );
  // It would prove little if the random lives had been quiet ones.
  expect({ resumed: resumed > 0, tooSlow: tooSlow > 0 }).toEqual({ resumed: true, tooSlow: true });
}, 60_000);

class Listener {
  readonly numbers: number[] = [];
  readonly start: number;
  tooSlow = 0;
  resumed = 0;
  private readonly world: World;
  private readonly accept: string;
  private stream: Stream | null = null;
  private cursor: string;

  constructor(world: World, accept: string) {
    this.world = world;
    this.accept = accept;
    this.start = world.log.events.length;
    this.cursor = `c${this.start}`;
  }

  /** This many more events, or all that there are; comes back as often as it must. */
  async read(count: number): Promise<void> {
    const all = this.world.log.events.length - this.start;
    const wanted = Math.min(all, this.numbers.length + count);
    while (this.numbers.length < wanted) {
      this.stream ??= await this.open();
      const part = await this.stream.nextPart();
      if (part === null) this.stream = null;
      else this.take(part);
    }
  }

  cut(): void {
    this.stream?.cut();
    this.stream = null;
  }

  private async open(): Promise<Stream> {
    if (this.numbers.length > 0) this.resumed++;
    const variables = { after: this.cursor.slice(1) };
    const stream = await this.world.stream(this.accept, EVENTS, { variables });
    expect(stream.status).toBe(200);
    return stream;
  }

  private take(part: string): void {
    const json = /\{.*\}/s.exec(part)?.[0] ?? '{}';
    const { payload, data, errors } = JSON.parse(json);
    const event = (payload?.data ?? data)?.taskEvents;
    if (event) {
      this.numbers.push(event.number);
      this.cursor = event.cursor;
    }
    if (!errors) return;
    // The end that it was told of knows how far it has come; before the first event, there is no cursor to tell.
    const [{ extensions }] = errors;
    expect([extensions.code, extensions.cursor ?? this.cursor]).toEqual(['RATE_LIMITED', this.cursor]);
    this.tooSlow++;
    this.cut();
  }
}
