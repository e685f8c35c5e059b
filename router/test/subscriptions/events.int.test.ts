import { expect, test } from 'vitest';
import { aWorld, type Client, until, within } from './world.ts';

const NUMBERS = 'subscription { taskEvents { ... on TaskChange { number cursor } } }';

async function numbers(client: Client, count: number): Promise<number[]> {
  const seen: number[] = [];
  while (seen.length < count) seen.push((await client.next()).payload.data.taskEvents.number);
  return seen;
}

test('an event carries fields of other subgraphs, one call per fetch of the plan however many items', async () => {
  const world = await aWorld();
  const client = await world.connect();
  await client.subscribe(
    '1',
    `subscription($long: Boolean = true) { change: taskEvents { __typename ... on TaskChange {
      text number @include(if: $long) watchers { name } } } }`,
  );
  await until(() => world.log.open === 1, 'the stream to open');
  world.log.push('first');
  const { payload } = await client.next();
  expect(payload).toEqual({
    data: {
      change: {
        __typename: 'TaskChange',
        text: 'first',
        number: 1,
        watchers: Array.from({ length: 10 }, (_, index) => ({ name: `Name of u${index}` })),
      },
    },
  });
  expect(world.userCalls).toHaveLength(1);
});

test('events arrive in order, each once, also in a burst larger than the queue', async () => {
  const world = await aWorld();
  const client = await world.connect();
  for (let count = 0; count < 1_000; count++) world.log.push();
  await client.subscribe('1', 'subscription { taskEvents(after: "0") { ... on TaskChange { number } } }');
  expect(await numbers(client, 1_000)).toEqual(Array.from({ length: 1_000 }, (_, index) => index + 1));
  world.log.push();
  expect(await numbers(client, 1)).toEqual([1_001]);
});

test('a subgraph that is killed and comes back resumes its listeners without loss or duplicate', async () => {
  const world = await aWorld();
  const ada = await world.connect('ada');
  const grace = await world.connect('grace');
  await ada.subscribe('1', NUMBERS);
  await grace.subscribe('1', NUMBERS);
  await until(() => world.log.open === 2, 'the streams to open');
  world.log.push();
  expect(await numbers(ada, 1)).toEqual([1]);
  expect(await numbers(grace, 1)).toEqual([1]);

  await world.task.stop();
  for (let count = 0; count < 5; count++) world.log.push();
  await world.task.start();
  expect(await numbers(ada, 5)).toEqual([2, 3, 4, 5, 6]);
  expect(await numbers(grace, 5)).toEqual([2, 3, 4, 5, 6]);
  world.log.push();
  expect(await numbers(ada, 1)).toEqual([7]);
  expect(world.log.opened.slice(2)).toEqual([
    { viewer: 'ada', resumeAfter: 1 },
    { viewer: 'grace', resumeAfter: 1 },
  ]);
});

test('a passing outage of the subgraph is outlasted by a listener that has heard an event', async () => {
  const world = await aWorld();
  const client = await world.connect();
  await client.subscribe('1', NUMBERS);
  await until(() => world.log.open === 1, 'the stream to open');
  world.log.push();
  await numbers(client, 1);
  world.log.outages = 2;
  await world.task.stop();
  world.log.push();
  await world.task.start();
  expect(await numbers(client, 1)).toEqual([2]);
  expect(world.log.outages).toBeLessThan(1);
});

test('a subscription at a subgraph that is not there says so, with its code', async () => {
  const world = await aWorld();
  await world.task.stop();
  const client = await world.connect();
  await client.subscribe('1', NUMBERS);
  const { payload } = await client.next('error');
  expect(payload[0].extensions).toMatchObject({ code: 'SUBGRAPH_UNAVAILABLE', retryable: true });
});

test('a client that leaves ends its stream at the subgraph at once, and nobody else’s', async () => {
  const world = await aWorld();
  const ada = await world.connect('ada');
  const grace = await world.connect('grace');
  await ada.subscribe('1', NUMBERS);
  await grace.subscribe('1', NUMBERS);
  await until(() => world.log.open === 2, 'the streams to open');
  await ada.send({ id: '1', type: 'complete' });
  await until(() => world.log.open === 1, 'one stream to end');
  world.log.push();
  expect(await numbers(grace, 1)).toEqual([1]);
  expect(ada.waiting).toEqual([]);
  grace.socket.terminate();
  await until(() => world.log.open === 0, 'the other stream to end');
  expect(Object.values(world.sockets.status().upstreams)).toEqual([{ state: 'open', subscriptions: 0 }]);
});

test('a refusal by the subgraph ends the operation that it concerns, and no other on the same upstream', async () => {
  const world = await aWorld();
  const ada = await world.connect('ada');
  const mallory = await world.connect('grace');
  await ada.subscribe('1', NUMBERS);
  await mallory.subscribe('1', 'subscription { taskEvents(refuse: "NOT_FOUND") { __typename } }');
  const { payload } = await mallory.next('error');
  expect(payload).toEqual([
    { message: 'No.', extensions: { code: 'NOT_FOUND', requestId: expect.any(String) } },
  ]);
  world.log.push();
  expect(await numbers(ada, 1)).toEqual([1]);
  await mallory.subscribe('1', NUMBERS);
  await until(() => world.log.open === 2, 'the second try');
});

test('an event whose other subgraph is away arrives with what there is, and a masked error', async () => {
  const world = await aWorld();
  const client = await world.connect();
  await client.subscribe('1', 'subscription { taskEvents { ... on TaskChange { number actor { name } } } }');
  await until(() => world.log.open === 1, 'the stream to open');
  await world.user.stop();
  world.log.push();
  const { payload } = await client.next();
  expect(payload.data).toEqual({ taskEvents: { number: 1, actor: null } });
  expect(payload.errors[0].extensions.code).toBe('SUBGRAPH_UNAVAILABLE');
  expect(JSON.stringify(payload)).not.toMatch(/127\.0\.0\.1|ECONN|stack/);
});

test('a client that does not read ends up with an error and the cursor of its last event, and holds up nobody', async () => {
  const world = await aWorld({ delivery: { eventsMax: 20, stallMs: 300 } });
  const slow = await world.connect('ada');
  const other = await world.connect('grace');
  await slow.subscribe('1', 'subscription { taskEvents { ... on TaskChange { number text cursor } } }');
  await other.subscribe('1', NUMBERS);
  await until(() => world.log.open === 2, 'the streams to open');
  slow.socket.pause();
  // Far more than the buffers of the operating system take for a client that does not read.
  const total = 400;
  for (let count = 0; count < total; count++) world.log.push('x'.repeat(50_000));
  expect(await numbers(other, total)).toHaveLength(total);
  await until(() => world.sockets.status().operations === 1, 'the slow operation to end');
  expect(process.memoryUsage().rss).toBeLessThan(1_500_000_000);

  slow.socket.resume();
  let last = 0;
  for (;;) {
    const frame = await within(
      slow.next().catch((error: Error) => error),
      'the end of the slow stream',
    );
    if (frame instanceof Error) {
      expect(frame.message).toContain('RATE_LIMITED');
      expect(frame.message).toContain(`"cursor":"c${last}"`);
      break;
    }
    expect(frame.payload.data.taskEvents.number).toBe(++last);
  }
  expect(last).toBeLessThan(total);
  await slow.subscribe('2', `subscription { taskEvents(after: "${last}") { ... on TaskChange { number } } }`);
  expect((await numbers(slow, 3))[0]).toBe(last + 1);
});
