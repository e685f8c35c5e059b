import { expect, test } from 'vitest';
import { aWorld, type Client, until, type World } from './world.ts';

const EVENTS = `subscription Board($after: String) {
  taskEvents(after: $after) {
    ... on TaskChange { number cursor text actor { name } }
    ... on StreamHeartbeat { at: cursor }
  }
}`;

async function aWorldThatBeats(...options: Parameters<typeof aWorld>): Promise<World> {
  const world = await aWorld(...options);
  world.log.beats = true;
  return world;
}

/** Subscribes, and reads the heartbeat that comes first. */
async function aListener(world: World, name: string, query = EVENTS, variables = {}): Promise<Client> {
  const client = await world.connect(name);
  await client.subscribe('1', query, variables);
  expect((await client.next()).payload.data.taskEvents.at).toMatch(/^c\d+$/);
  return client;
}

/** The numbers of the next changes; heartbeats are passed over. */
async function numbers(client: Client, count: number): Promise<number[]> {
  const seen: number[] = [];
  while (seen.length < count) {
    const { number } = (await client.next()).payload.data.taskEvents;
    if (number !== undefined) seen.push(number);
  }
  return seen;
}

const upTo = (count: number, from = 1) =>
  Array.from({ length: count - from + 1 }, (_, index) => from + index);

test('listeners who read the same share one stream, one execution and the same bytes', async () => {
  const world = await aWorldThatBeats();
  const clients = await Promise.all(['bossAda', 'bossBob', 'bossEve'].map((name) => aListener(world, name)));
  expect(world.log.opened).toEqual([{ viewer: 'ORG_ADMIN', resumeAfter: null }]);
  expect(world.sockets.status().shared).toEqual({ feeds: 1, listeners: 3 });
  const texts = clients.map(
    (client) =>
      new Promise<string>((resolve) => client.socket.once('message', (bytes) => resolve(String(bytes)))),
  );
  world.log.push();
  const [one, ...others] = await Promise.all(texts);
  expect(others).toEqual([one, one]);
  expect(JSON.parse(one ?? '').payload.data.taskEvents).toMatchObject({
    number: 1,
    actor: { name: 'Name of u1' },
  });
  expect(world.userCalls).toHaveLength(1);
});

test.each([
  ['another role', 'ada', EVENTS],
  ['an API key', 'bossKey', EVENTS],
  ['a field that is the viewer’s own', 'bossBob', EVENTS.replace('text', 'viewerCanChange')],
  ['such a field of another subgraph', 'bossBob', EVENTS.replace('{ name }', '{ isViewer }')],
  [
    'such a field that is not asked for this time',
    'bossBob',
    EVENTS.replace('text', 'viewerCanChange @skip(if: true)'),
  ],
])('%s gets a stream of its own', async (_, name, query) => {
  const world = await aWorldThatBeats();
  await aListener(world, 'bossAda');
  await aListener(world, name, query);
  expect(world.log.opened.map(({ viewer }) => viewer)).toEqual(['ORG_ADMIN', name]);
});

test.each([
  ['another organisation', 'bossElsewhere', EVENTS, {}],
  ['other words', 'bossBob', EVENTS.replace('text', ''), {}],
  [
    'other variables',
    'bossBob',
    EVENTS.replace('$after: String', '$a: Boolean = true')
      .replace('(after: $after)', '')
      .replace('text', 'text @include(if: $a)'),
    { a: false },
  ],
])('%s is another shared stream', async (_, name, query, variables) => {
  const world = await aWorldThatBeats();
  await aListener(world, 'bossAda');
  await aListener(world, name, query, variables);
  expect(world.log.opened.map(({ viewer }) => viewer)).toEqual(['ORG_ADMIN', 'ORG_ADMIN']);
  expect(world.sockets.status().shared).toEqual({ feeds: 2, listeners: 2 });
});

test('one of several leaves, in whatever way, and the others hear on; the last one ends the stream at once', async () => {
  const world = await aWorldThatBeats();
  const names = ['bossAda', 'bossBob', 'bossEve', 'bossIda'];
  const [first, second, third, last] = await Promise.all(names.map((name) => aListener(world, name)));
  await first?.send({ id: '1', type: 'complete' });
  second?.socket.terminate();
  world.revoke('bossEve', 'SESSION_REVOKED');
  expect((await third?.closed)?.code).toBe(4403);
  await until(() => world.sockets.status().shared.listeners === 1, 'three to be gone');
  world.log.push();
  expect(await numbers(last as Client, 1)).toEqual([1]);
  expect(world.log.opened).toHaveLength(1);
  await last?.send({ id: '1', type: 'complete' });
  await until(() => world.log.open === 0, 'the stream to end');
  expect(world.sockets.status().shared).toEqual({ feeds: 0, listeners: 0 });
});

test('the shared stream outlives the token of the one who began it', async () => {
  const world = await aWorldThatBeats();
  const brief = world.open();
  await brief.init({ authorization: world.token('bossAda', 700) });
  await brief.subscribe('1', EVENTS);
  await brief.next();
  const client = await aListener(world, 'bossBob');
  expect((await brief.closed).code).toBe(4401);
  await world.task.stop();
  await world.task.start();
  await until(() => world.log.open === 1, 'the stream to be back');
  world.log.push();
  expect(await numbers(client, 1)).toEqual([1]);
});

test('who comes later is greeted with the place where the stream is', async () => {
  const world = await aWorldThatBeats();
  const early = await aListener(world, 'bossAda');
  world.log.push();
  await numbers(early, 1);
  const late = await world.connect('bossBob');
  await late.subscribe('1', EVENTS);
  expect((await late.next()).payload.data.taskEvents).toEqual({ at: 'c1' });
});

test('who resumes hears what was missed, then joins the others, and nothing comes twice', async () => {
  const world = await aWorldThatBeats();
  for (let n = 0; n < 20; n++) world.log.push();
  const early = await aListener(world, 'bossAda');
  const late = await world.connect('bossBob');
  await late.subscribe('1', EVENTS, { after: '5' });
  for (let n = 0; n < 5; n++) world.log.push();
  expect(await numbers(late, 20)).toEqual(upTo(25, 6));
  await until(() => world.log.open === 1, 'the private stream to end');
  world.log.push();
  expect([await numbers(late, 1), (await numbers(early, 6)).at(-1)]).toEqual([[26], 26]);
  expect(world.log.opened.map(({ viewer }) => viewer)).toEqual(['ORG_ADMIN', 'bossBob']);
});

test('an `after` that is no place is refused, and leaves nothing behind', async () => {
  const world = await aWorldThatBeats();
  const client = await world.connect('bossAda');
  await client.subscribe('1', EVENTS.replace('after: $after', 'after: $after, refuse: "BAD_USER_INPUT"'), {
    after: 'x',
  });
  expect((await client.next('error')).payload[0].extensions.code).toBe('BAD_USER_INPUT');
  await until(() => world.sockets.status().shared.feeds === 0, 'the shared feed to be gone');
});

test('a subgraph that does not know groups is asked for each person alone', async () => {
  const world = await aWorldThatBeats();
  world.log.knowsGroups = false;
  const clients = await Promise.all(['bossAda', 'bossBob'].map((name) => aListener(world, name)));
  world.log.push();
  for (const client of clients) expect(await numbers(client, 1)).toEqual([1]);
  expect(world.log.opened.map(({ viewer }) => viewer).sort()).toEqual(['bossAda', 'bossBob']);
});

test('a subgraph that is lost under events loses nothing and tells nothing twice, to any listener', async () => {
  const world = await aWorldThatBeats();
  const clients = await Promise.all(['bossAda', 'bossBob', 'bossEve'].map((name) => aListener(world, name)));
  for (let round = 0; round < 2; round++) {
    for (let n = 0; n < 10; n++) world.log.push();
    await world.task.stop();
    for (let n = 0; n < 10; n++) world.log.push();
    await world.task.start();
  }
  for (const client of clients) expect(await numbers(client, 40)).toEqual(upTo(40));
  expect(world.log.opened.slice(1).every(({ viewer }) => viewer === 'ORG_ADMIN')).toBe(true);
});

test('a slow listener leaves the shared feed, goes on from its place, and comes back; the others do not wait', async () => {
  const world = await aWorldThatBeats({ delivery: { eventsMax: 5, bytesMax: 10_000_000, stallMs: 60_000 } });
  const fast = await aListener(world, 'bossAda');
  const slow = await aListener(world, 'bossBob');
  slow.socket.pause();
  const text = 'x'.repeat(200_000);
  for (let n = 0; n < 60; n++) world.log.push(text);
  expect(await numbers(fast, 60)).toEqual(upTo(60));
  await until(() => world.sockets.status().shared.listeners === 1, 'the slow one to leave');
  slow.socket.resume();
  expect(await numbers(slow, 60)).toEqual(upTo(60));
  await until(() => world.sockets.status().shared.listeners === 2, 'the slow one to come back');
  await until(() => world.log.open === 1, 'its own stream to end');
  world.log.push();
  expect([await numbers(fast, 1), await numbers(slow, 1)]).toEqual([[61], [61]]);
});
