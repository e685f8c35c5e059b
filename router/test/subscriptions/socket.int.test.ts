import { describe, expect, test } from 'vitest';
import { aWorld, until, within } from './world.ts';

const EVENTS = 'subscription { taskEvents { ... on TaskChange { number } } }';

describe('a socket is closed with the documented code', () => {
  test('4406 for a foreign or absent subprotocol', async () => {
    const world = await aWorld();
    for (const protocol of ['graphql-ws', null]) {
      expect((await within(world.open({ protocol }).closed, 'a close')).code).toBe(4406);
    }
  });

  test('4408 when no connection_init comes within three seconds', async () => {
    const world = await aWorld();
    const client = world.open();
    await client.opened();
    const openedAt = Date.now();
    expect((await within(client.closed, 'a close')).code).toBe(4408);
    expect(Date.now() - openedAt).toBeLessThan(4_500);
  });

  test('4400 for what is no message: text, an unknown type, a type of the server, a binary frame', async () => {
    const world = await aWorld();
    const messages = [
      'no json',
      { type: 'start' },
      { type: 'next', id: '1', payload: {} },
      Buffer.from('{}'),
    ];
    for (const message of messages) {
      const client = world.open();
      await client.send(message);
      expect((await within(client.closed, 'a close')).code, JSON.stringify(message)).toBe(4400);
    }
  });

  test('4401 for a subscribe before the acknowledgement, and the subgraph never hears of it', async () => {
    const world = await aWorld();
    const client = world.open();
    await client.subscribe('1', EVENTS);
    expect((await within(client.closed, 'a close')).code).toBe(4401);
    expect(world.log.opened).toEqual([]);
  });

  test('4401 for a connection_init without a token, with a forged one, and TOKEN_EXPIRED for an expired one', async () => {
    const world = await aWorld();
    const expected: [object | undefined, string][] = [
      [undefined, 'UNAUTHENTICATED'],
      [{}, 'UNAUTHENTICATED'],
      [{ authorization: 'Bearer forged' }, 'UNAUTHENTICATED'],
      [{ authorization: world.token('mallory') }, 'UNAUTHENTICATED'],
      [{ authorization: { toString: 'x' } }, 'UNAUTHENTICATED'],
      [{ authorization: world.token('ada', -1_000) }, 'TOKEN_EXPIRED'],
    ];
    for (const [payload, code] of expected) {
      const client = world.open();
      await client.send({ type: 'connection_init', ...(payload ? { payload } : {}) });
      const closed = await within(client.closed, 'a close');
      expect(closed.code, JSON.stringify(payload)).toBe(4401);
      expect(closed.reason, JSON.stringify(payload)).toContain(code);
    }
  });

  test('a token in the URL is not one', async () => {
    const world = await aWorld();
    const client = world.open({ path: `/graphql?authorization=${encodeURIComponent(world.token('ada'))}` });
    await client.send({ type: 'connection_init' });
    expect((await within(client.closed, 'a close')).code).toBe(4401);
  });

  test('4403 for the token of a revoked session', async () => {
    const world = await aWorld();
    world.revoke('ada', 'SESSION_REVOKED');
    const client = world.open();
    await client.send({ type: 'connection_init', payload: { authorization: world.token('ada') } });
    expect((await within(client.closed, 'a close')).code).toBe(4403);
  });

  test('4429 for a second connection_init', async () => {
    const world = await aWorld();
    const client = await world.connect();
    await client.send({ type: 'connection_init' });
    expect((await within(client.closed, 'a close')).code).toBe(4429);
  });

  test('4429 for the eleventh socket of one person, and a closed one makes room', async () => {
    const world = await aWorld();
    const clients = await Promise.all(Array.from({ length: 10 }, () => world.connect('ada')));
    const eleventh = world.open();
    await eleventh.send({ type: 'connection_init', payload: { authorization: world.token('ada') } });
    expect((await within(eleventh.closed, 'a close')).code).toBe(4429);
    await world.connect('grace');
    clients[0]?.socket.close();
    await clients[0]?.closed;
    await until(() => world.sockets.status().sockets === 10, 'the seat to be free');
    await world.connect('ada');
  });

  test('4429 for one socket more than an organisation may have, whoever in it', async () => {
    const world = await aWorld({ sockets: { perTenantMax: 2 } });
    await Promise.all([world.connect('ada'), world.connect('grace')]);
    await world.connect('bossElsewhere');
    const third = world.open();
    await third.send({ type: 'connection_init', payload: { authorization: world.token('eve') } });
    expect((await within(third.closed, 'a close')).code).toBe(4429);
  });

  test('1008 or 1006 for a message in more pieces than anybody needs', async () => {
    const world = await aWorld();
    const client = await world.connect();
    for (let piece = 0; piece < 200; piece++) client.socket.send('x', { fin: false });
    expect([1006, 1008]).toContain((await within(client.closed, 'a close')).code);
  });

  test('no word at all, when a peer is silent over two pings', async () => {
    const world = await aWorld({ sockets: { pingIntervalMs: 100 } });
    const [silent, alive] = await Promise.all([world.connect('ada'), world.connect('grace')]);
    silent.socket.pause();
    await until(() => world.sockets.status().sockets === 1, 'the silent socket to be given up');
    await alive.subscribe('1', '{ ping }');
    expect((await alive.next()).id).toBe('1');
  });

  test('4409 for the id of an operation that runs', async () => {
    const world = await aWorld();
    const client = await world.connect();
    await client.subscribe('1', EVENTS);
    await until(() => world.log.open === 1, 'the stream to open');
    await client.subscribe('1', EVENTS);
    expect((await within(client.closed, 'a close')).code).toBe(4409);
    await until(() => world.log.open === 0, 'the stream to end');
  });

  test('1009 for a frame larger than 64 kB', async () => {
    const world = await aWorld();
    const client = await world.connect();
    await client.subscribe('1', `{ ping } # ${'x'.repeat(64 * 1024)}`);
    expect((await within(client.closed, 'a close')).code).toBe(1009);
  });

  test('1001 on shutdown, after answers on their way', async () => {
    const world = await aWorld({ drainMs: 5_000 });
    const idle = await world.connect();
    const busy = await world.connect();
    await busy.subscribe('1', '{ ping(delayMs: 300) }');
    await busy.subscribe('2', EVENTS);
    await until(() => world.log.open === 1, 'the stream to open');
    const stopped = world.sockets.stop();
    expect((await busy.next()).payload).toEqual({ data: { ping: 'pong' } });
    expect((await within(idle.closed, 'a close')).code).toBe(1001);
    expect((await within(busy.closed, 'a close')).code).toBe(1001);
    await within(stopped, 'the stop');
    await expect(world.open().closed).rejects.toThrow('HTTP 503');
  });
});

describe('an upgrade', () => {
  test('is refused to a page of a foreign origin, and to no client without one', async () => {
    const world = await aWorld();
    await expect(world.open({ origin: 'https://evil.test' }).closed).rejects.toThrow('HTTP 403');
    await expect(world.open({ origin: 'null' }).closed).rejects.toThrow('HTTP 403');
    await world.open({ origin: 'https://allowed.test' }).opened();
    await world.open({ origin: new URL(world.url).origin.replace('ws:', 'http:') }).opened();
    await world.open().opened();
  });

  test('is refused on every path but that of GraphQL', async () => {
    const world = await aWorld();
    await expect(world.open({ path: '/other' }).closed).rejects.toThrow('HTTP 404');
  });
});

describe('the session of a socket', () => {
  test('ends with 4401 when its token does, and its streams with it', async () => {
    const world = await aWorld();
    const client = world.open();
    await client.init({ authorization: world.token('ada', 700) });
    await client.subscribe('1', EVENTS);
    await until(() => world.log.open === 1, 'the stream to open');
    const closed = await within(client.closed, 'a close', 2_000);
    expect(closed).toEqual({ code: 4401, reason: expect.stringContaining('TOKEN_EXPIRED') });
    await until(() => world.log.open === 0, 'the stream to end');
  });

  test('ends with 4403 within a second of its revocation, before another event is sent, and no other does', async () => {
    const world = await aWorld();
    const ada = await world.connect('ada');
    const grace = await world.connect('grace');
    await ada.subscribe('1', EVENTS);
    await grace.subscribe('1', EVENTS);
    await until(() => world.log.open === 2, 'the streams to open');
    world.revoke('ada', 'SESSION_REVOKED');
    world.log.push();
    expect((await within(ada.closed, 'a close', 1_000)).code).toBe(4403);
    expect(ada.waiting).toEqual([]);
    expect((await grace.next()).payload).toEqual({ data: { taskEvents: { number: 1 } } });
  });

  test('ends with 4401 TOKEN_EXPIRED when the role behind the token has changed', async () => {
    const world = await aWorld();
    const client = await world.connect('ada');
    world.revoke('ada', 'TOKEN_EXPIRED');
    const closed = await within(client.closed, 'a close', 1_000);
    expect(closed).toEqual({ code: 4401, reason: expect.stringContaining('TOKEN_EXPIRED') });
  });

  test('needs no token where nobody is authenticated', async () => {
    const world = await aWorld({ isAnonymousAllowed: true });
    const client = world.open();
    await client.init();
    await client.subscribe('1', '{ ping }');
    expect((await client.next()).payload).toEqual({ data: { ping: 'pong' } });
  });
});

describe('an operation over the socket', () => {
  test('may be a query or a mutation, answered as over HTTP', async () => {
    const world = await aWorld();
    const client = await world.connect('ada');
    await client.subscribe('1', '{ ping me { id name } }');
    expect((await client.next()).payload).toEqual({ data: { ping: 'pong', me: { id: 'ada', name: 'Me' } } });
    await client.next('complete');
    await client.subscribe('2', 'mutation { poke }');
    expect((await client.next()).payload).toEqual({ data: { poke: 1 } });
    await client.next('complete');
  });

  test('is refused by the same stages as over HTTP, with its code and request id', async () => {
    const world = await aWorld();
    const client = await world.connect();
    const deep = `{ ${'me { '.repeat(12)} id ${'}'.repeat(12)} }`;
    const refused: [string, string, object?][] = [
      ['{ unknown }', 'GRAPHQL_VALIDATION_FAILED'],
      ['{ ping', 'GRAPHQL_PARSE_FAILED'],
      ['', 'BAD_REQUEST'],
      [deep, 'OPERATION_TOO_LARGE'],
      ['query($n: Int) { ping(delayMs: $n) }', 'BAD_USER_INPUT', { n: 'x' }],
      ['subscription($a: String) { taskEvents(after: $a) { __typename } }', 'BAD_USER_INPUT', { a: 7 }],
    ];
    for (const [query, code, variables] of refused) {
      await client.subscribe('1', query, variables);
      const { payload } = await client.next('error');
      expect(payload[0].extensions, query.slice(0, 40)).toEqual({ code, requestId: expect.any(String) });
    }
    expect(world.log.opened).toEqual([]);
  });

  test('is refused when its variables nest without end', async () => {
    const world = await aWorld();
    const client = await world.connect();
    const nested = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
    await client.send(
      `{"id":"1","type":"subscribe","payload":{"query":"{ ping }","variables":{"a":${nested}}}}`,
    );
    expect((await client.next('error')).payload[0].extensions.code).toBe('BAD_REQUEST');
  });

  test('is the fifty-first of a socket: refused, and the fifty live on', async () => {
    const world = await aWorld();
    const client = await world.connect();
    for (let id = 1; id <= 50; id++) await client.subscribe(`${id}`, EVENTS);
    await until(() => world.log.open === 50, 'fifty streams');
    await client.subscribe('51', EVENTS);
    const { id, payload } = await client.next('error');
    expect([id, payload[0].extensions.code]).toEqual(['51', 'RATE_LIMITED']);
    world.log.push();
    for (let count = 0; count < 50; count++) await client.next();
    await client.send({ id: '1', type: 'complete' });
    await until(() => world.log.open === 49, 'one stream to end');
    await client.subscribe('52', '{ ping }');
    expect((await client.next()).id).toBe('52');
  });

  test.each([
    ['person', { operationsPerUserMax: 3 }, ['ada', 'ada'], 'grace'],
    ['organisation', { operationsPerTenantMax: 3 }, ['ada', 'grace'], 'bossElsewhere'],
  ])(
    'is one more than a %s may have: refused, until another one ends',
    async (_, sockets, [one, two], other) => {
      const world = await aWorld({ sockets });
      const [first, second, stranger] = await Promise.all(
        [one, two, other].map((name) => world.connect(name)),
      );
      for (const id of ['1', '2']) await first?.subscribe(id, EVENTS);
      await second?.subscribe('3', EVENTS);
      await until(() => world.log.open === 3, 'three streams');
      await second?.subscribe('4', EVENTS);
      expect((await second?.next('error'))?.payload[0].extensions.code).toBe('RATE_LIMITED');
      await stranger?.subscribe('1', EVENTS);
      await until(() => world.log.open === 4, 'the stream of somebody else');
      first?.socket.close();
      await until(() => world.log.open === 2, 'two streams to end');
      await second?.subscribe('5', EVENTS);
      await until(() => world.log.open === 3, 'there to be room');
    },
  );
});

test('a storm of new sockets is told to come later, and those that are established notice nothing', async () => {
  const world = await aWorld({ sockets: { perSecond: 5 } });
  const established = await world.connect();
  const storm = Array.from({ length: 20 }, () => world.open().closed.then(() => 'closed', String));
  expect(await within(Promise.any(storm), 'a refusal')).toContain('503');
  await established.subscribe('1', '{ ping }');
  expect((await established.next()).payload.data).toEqual({ ping: 'pong' });
  expect(world.sockets.status().sockets).toBeLessThanOrEqual(6);
});
