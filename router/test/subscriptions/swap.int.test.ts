import { expect, test } from 'vitest';
import { aWorld, type Client, until, type World } from './world.ts';

const EVENTS =
  'subscription { taskEvents { ... on TaskChange { number cursor text actor { name label } } } }';
const LABEL_OF_TASK = ' label: String @shared(by: TENANT) @shareable }';

/** One who shares, one who shares with them, and one who has a stream of their own; each has heard an event. */
async function listeners(world: World): Promise<Client[]> {
  const clients = await Promise.all(['bossAda', 'bossBob', 'grace'].map((name) => world.connect(name)));
  for (const client of clients) await client.subscribe('1', EVENTS);
  await until(() => world.log.open === 2, 'two streams');
  world.log.push();
  for (const client of clients) expect((await client.next()).payload.data.taskEvents.number).toBe(1);
  return clients;
}

/** Heartbeats, which say that a replay is over, are passed over. */
async function nextChange(client: Client) {
  for (;;) {
    const { payload } = await client.next();
    if (payload.data.taskEvents.number !== undefined) return payload;
  }
}

test('a subscription whose plan is the same stays open, and its events are read by the new supergraph', async () => {
  const world = await aWorld();
  const clients = await listeners(world);
  await world.swap(({ task, user }) => ({
    task,
    user: user.replace('name: String!', 'age: Int name: String!'),
  }));
  world.log.push();
  for (const client of clients)
    expect((await client.next()).payload.data.taskEvents).toMatchObject({
      number: 2,
      actor: { name: 'Name of u1' },
    });
  expect(world.log.opened).toHaveLength(2);
  const late = await world.connect('bossEve');
  await late.subscribe('1', EVENTS);
  await until(() => world.sockets.status().shared.listeners === 3, 'the newcomer to join the others');
  expect(world.sockets.status().shared.feeds).toBe(1);
});

test('one whose plan is another is asked for anew, from its position, while events come', async () => {
  const world = await aWorld();
  await world.swap(({ task, user }) => ({ task: task.replace(LABEL_OF_TASK, ' }'), user }));
  const clients = await listeners(world);
  world.log.beats = true;
  for (let count = 0; count < 20; count++) world.log.push();
  await world.swap((sdl) => sdl);
  for (let count = 0; count < 20; count++) world.log.push();
  for (const client of clients) {
    for (let number = 2; number <= 41; number++) {
      const { data, errors } = await nextChange(client);
      expect([errors, data.taskEvents.number, data.taskEvents.actor.label]).toEqual([
        undefined,
        number,
        'Label',
      ]);
    }
  }
  await until(() => world.log.open === 2, 'the old streams to end');
  expect(world.log.opened.length).toBeGreaterThan(2);
});

test('one that is not valid any more ends with a code and its last cursor, and no other does', async () => {
  const world = await aWorld();
  const [ada, bob, grace] = await listeners(world);
  const other = await world.connect('eve');
  await other.subscribe('1', 'subscription { taskEvents { ... on TaskChange { number } } }');
  await until(() => world.log.open === 3, 'the third stream');
  await world.swap(({ task, user }) => ({
    task: task.replace('text: String! @shared(by: TENANT)', ''),
    user,
  }));
  for (const client of [ada, bob, grace]) {
    const [error] = (await client?.next('error'))?.payload ?? [];
    expect(error.extensions).toMatchObject({ code: 'GRAPHQL_VALIDATION_FAILED', cursor: 'c1' });
  }
  await until(() => world.log.open === 1, 'the streams to end');
  world.log.push();
  expect((await other.next()).payload.data.taskEvents.number).toBe(2);
});
