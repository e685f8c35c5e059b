import type { LocalListener } from '@taskflow/kit/service-local-stream';
import { expect, test } from 'vitest';
import { aWorld, until } from './world.ts';

const EVENTS = 'subscription { taskEvents { ... on TaskChange { number actor { name } } } }';

test('a subgraph in this process is heard without a socket, and a restart of it loses nothing', async () => {
  const world = await aWorld({ isTaskLocal: true });
  const clients = await Promise.all(['bossAda', 'bossBob', 'grace'].map((name) => world.connect(name)));
  for (const client of clients) await client.subscribe('1', EVENTS);
  await until(() => world.log.open === 2, 'a shared stream and a private one');
  for (let count = 0; count < 5; count++) world.log.push();
  await until(() => world.userCalls.length >= 5, 'some events to be on their way');
  await world.task.stop();
  for (let count = 0; count < 5; count++) world.log.push();
  await world.task.start();
  for (const client of clients) {
    for (let number = 1; number <= 10; number++)
      expect((await client.next()).payload.data.taskEvents).toEqual({
        number,
        actor: { name: 'Name of u1' },
      });
    await client.send({ id: '1', type: 'complete' });
  }
  await until(() => world.log.open === 0, 'the streams to end');
  expect(Object.values(world.sockets.status().upstreams)).toEqual([{ state: 'open', subscriptions: 0 }]);
});

test('what it refuses is told as over a socket', async () => {
  const world = await aWorld({ isTaskLocal: true });
  const client = await world.connect();
  await client.subscribe(
    '1',
    'subscription { taskEvents(refuse: "FORBIDDEN") { ... on TaskChange { number } } }',
  );
  expect((await client.next('error')).payload[0]).toMatchObject({
    message: 'No.',
    extensions: { code: 'FORBIDDEN' },
  });
});

test('its door is the same: without a signed context, or with somebody else’s, nothing is heard', async () => {
  const world = await aWorld();
  for (const extensions of [{}, { context: 'v1.forged.e30.AAAA' }]) {
    const refused = await new Promise<unknown>((resolve) => {
      const never = () => resolve('was let in');
      const listener: LocalListener = { next: never, completed: never, lost: never, refused: resolve };
      world.local.subscribe({ query: 'subscription { taskEvents { __typename } }', extensions }, listener);
    });
    expect(refused).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
  }
  expect(world.log.opened).toEqual([]);
});
