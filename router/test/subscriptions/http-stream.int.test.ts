import { describe, expect, test } from 'vitest';
import { aWorld, type Stream, type StreamOptions, until, type World, within } from './world.ts';

const EVENTS =
  'subscription ($after: String) { taskEvents(after: $after) { ... on TaskChange { number cursor } } }';
const BARE = 'subscription { taskEvents { ... on TaskChange { number } } }';
const MULTIPART = 'multipart/mixed;subscriptionSpec="1.0", application/json';
const SSE = 'text/event-stream';

const part = (json: string) => `\r\ncontent-type: application/json\r\n\r\n${json}\r\n--graphql`;
const STALL_MS = 200;
const has = (piece: string) => (text: string) => text.includes(piece);
const isOver = async (world: World) => until(() => world.log.open === 0, 'the stream at the subgraph to end');

async function opened(world: World, accept: string, options: StreamOptions = {}, query = EVENTS) {
  const before = world.log.opened.length;
  const stream = await world.stream(accept, query, options);
  await until(() => world.log.opened.length > before, 'the stream at the subgraph to open');
  return stream;
}

/** Of the error that ended a stream, whichever way it was written. */
async function lastError(stream: Stream) {
  const [error] = /\{"message":.*\}\}(?=\])/.exec(await stream.end()) ?? [];
  return JSON.parse(error ?? '{}') as { message?: string; extensions?: Record<string, unknown> };
}

describe('the bytes of a stream', () => {
  test('as multipart are those of Apollo’s protocol: a boundary right behind each part, heartbeats, the last boundary', async () => {
    const world = await aWorld({ heartbeatMs: 20 });
    const stream = await opened(world, MULTIPART);
    expect(stream.status).toBe(200);
    expect(stream.headers['content-type']).toBe('multipart/mixed;boundary="graphql";subscriptionSpec=1.0');
    expect(stream.headers['cache-control']).toBe('no-store, no-transform');
    expect(stream.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(await stream.read(has('{}'), 'the first heartbeat')).toMatch(/^\r\n--graphql\r\n/);
    world.log.push();
    const event = part('{"payload":{"data":{"taskEvents":{"number":1,"cursor":"c1"}}}}');
    await stream.read(has(event), 'the event');
    await stream.read((text) => text.split(event)[1]?.startsWith(part('{}')) ?? false, 'a later heartbeat');
    world.revoke('ada', 'SESSION_REVOKED');
    const text = await stream.end();
    expect(text).toMatch(
      /\{"payload":null,"errors":\[\{.*"code":"SESSION_REVOKED".*\}\]\}\r\n--graphql--\r\n$/,
    );
    expect(text.match(/--graphql--/g)).toHaveLength(1);
    await isOver(world);
  });

  test('as server-sent events are those of GraphQL over SSE: next with its cursor as id, comments, complete', async () => {
    const world = await aWorld({ heartbeatMs: 20 });
    const stream = await opened(world, SSE);
    expect([stream.status, stream.headers['content-type']]).toEqual([
      200,
      'text/event-stream; charset=utf-8',
    ]);
    world.log.push();
    const event = 'event: next\nid: c1\ndata: {"data":{"taskEvents":{"number":1,"cursor":"c1"}}}\n\n';
    expect(await stream.read(has(event), 'the event')).toMatch(/^(:\n\n)+event/);
    await stream.read((text) => text.endsWith(`${event}:\n\n`), 'a comment');
    world.revoke('ada', 'TOKEN_EXPIRED');
    expect(await stream.end()).toMatch(
      /event: next\ndata: \{"errors":\[\{.*"code":"TOKEN_EXPIRED".*"cursor":"c1".*\}\]\}\n\nevent: complete\ndata:\n\n$/,
    );
  });

  test('as server-sent events, too, of a query and of an operation that is not valid', async () => {
    const world = await aWorld();
    const answer = await world.stream(SSE, '{ ping }');
    expect(await answer.end()).toBe(
      'event: next\ndata: {"data":{"ping":"pong"}}\n\nevent: complete\ndata:\n\n',
    );
    const invalid = await world.stream(SSE, 'subscription { nothing }');
    expect(invalid.status).toBe(200);
    expect(await invalid.end()).toMatch(
      /^event: next\ndata: .*"GRAPHQL_VALIDATION_FAILED".*\n\nevent: complete\n/,
    );
  });
});

describe('a stream ends', () => {
  test('at the subgraph in the moment in which its client leaves', async () => {
    const world = await aWorld();
    for (const accept of [MULTIPART, SSE]) {
      const stream = await opened(world, accept);
      stream.cut();
      await isOver(world);
    }
    await until(() => world.sockets.status().streams === 0, 'the streams to be forgotten');
    expect(Object.values(world.sockets.status().upstreams)).toEqual([{ state: 'open', subscriptions: 0 }]);
  });

  test('when its token does, with the cursor to go on from', async () => {
    const world = await aWorld();
    const startedAt = Date.now();
    const stream = await opened(world, MULTIPART, {
      headers: { authorization: world.token('ada', 700) },
    });
    world.log.push();
    const { extensions } = await lastError(stream);
    expect(extensions).toMatchObject({ code: 'TOKEN_EXPIRED', cursor: 'c1' });
    expect(Date.now() - startedAt).toBeLessThan(1_700);
    await isOver(world);
  });

  test('when its session is revoked, however long the event in hand takes', async () => {
    const world = await aWorld();
    await world.user.stop();
    const query = 'subscription { taskEvents { ... on TaskChange { cursor actor { name } } } }';
    const stream = await world.stream(MULTIPART, query);
    await until(() => world.log.open === 1, 'the stream to open');
    world.log.push();
    world.revoke('ada', 'SESSION_REVOKED');
    expect((await within(lastError(stream), 'the end', 1_000)).extensions?.code).toBe('SESSION_REVOKED');
    await isOver(world);
  });

  test('with what the subgraph says of it', async () => {
    const world = await aWorld();
    const stream = await world.stream(
      MULTIPART,
      'subscription { taskEvents(refuse: "NOT_FOUND") { __typename } }',
    );
    expect((await lastError(stream)).extensions?.code).toBe('NOT_FOUND');
  });

  test('on shutdown, one after the other, with its cursor and a word that somebody else is there', async () => {
    const world = await aWorld();
    const streams = [await opened(world, MULTIPART), await opened(world, SSE)];
    world.log.push();
    for (const stream of streams) await stream.read(has('c1'), 'the event');
    await within(world.sockets.stop(), 'the stop');
    for (const stream of streams) {
      const { extensions } = await lastError(stream);
      expect(extensions).toMatchObject({ code: 'SUBGRAPH_UNAVAILABLE', retryable: true, cursor: 'c1' });
      expect(stream.headers.connection).toBe('close');
    }
    const late = await world.stream(MULTIPART, EVENTS);
    expect([late.status, await late.end()]).toEqual([503, expect.stringContaining('SUBGRAPH_UNAVAILABLE')]);
  });

  test('when its client does not read, with the cursor of the last event that was written', async () => {
    const world = await aWorld({ delivery: { eventsMax: 4, stallMs: STALL_MS } });
    const slow = await opened(world, SSE, {}, EVENTS.replace('number', 'number text'));
    // More than any buffer between here and there holds.
    for (let count = 0; count < 100; count++) world.log.push('x'.repeat(200_000));
    // A full queue leaves the subgraph for a while, too; for longer than the patience means that it has ended.
    let openAt = Date.now();
    await until(() => {
      if (world.log.open > 0) openAt = Date.now();
      return Date.now() - openAt > 2 * STALL_MS;
    }, 'the stream to end');
    const { extensions } = await lastError(slow);
    expect(extensions?.code).toBe('RATE_LIMITED');
    const numbers = numbersOf(slow.text);
    expect(`c${numbers.at(-1)}`).toBe(extensions?.cursor);
    expect(numbers.length).toBeLessThan(100);
    const next = await world.stream(SSE, EVENTS, { variables: { after: String(numbers.length) } });
    await next.read(has('"c100"'), 'the last event');
    expect([...numbers, ...numbersOf(next.text)]).toEqual(
      Array.from({ length: 100 }, (_, index) => index + 1),
    );
  });
});

describe('a stream is refused', () => {
  test('without a token, and with one that is not good', async () => {
    const world = await aWorld();
    for (const [authorization, code] of [
      ['', 'UNAUTHENTICATED'],
      ['Bearer forged', 'UNAUTHENTICATED'],
      [world.token('ada', -1_000), 'TOKEN_EXPIRED'],
    ]) {
      for (const accept of [MULTIPART, SSE]) {
        const stream = await world.stream(accept, EVENTS, {
          user: '',
          headers: authorization ? { authorization } : {},
        });
        expect([stream.status, JSON.parse(await stream.end()).errors[0].extensions.code]).toEqual([
          401,
          code,
        ]);
      }
    }
    expect(world.log.opened).toEqual([]);
  });

  test('as the eleventh of one person, sockets counted too; one that has ended makes room', async () => {
    const world = await aWorld();
    const sockets = await Promise.all(Array.from({ length: 4 }, () => world.connect()));
    const streams = await Promise.all(Array.from({ length: 6 }, () => world.stream(SSE, BARE)));
    const eleventh = await world.stream(SSE, BARE);
    expect([eleventh.status, JSON.parse(await eleventh.end()).errors[0].extensions.code]).toEqual([
      429,
      'RATE_LIMITED',
    ]);
    expect((await world.stream(SSE, BARE, { user: 'grace' })).status).toBe(200);
    streams[0]?.cut();
    await until(() => world.sockets.status().streams === 6, 'the seat to be free');
    expect((await world.stream(SSE, BARE)).status).toBe(200);
    expect(sockets).toHaveLength(4);
  });

  test('to a page of a foreign origin, which can open an EventSource unasked', async () => {
    const world = await aWorld({ isAnonymousAllowed: true });
    const own = new URL(world.url).origin.replace('ws:', 'http:');
    const expected: [Record<string, string>, boolean][] = [
      [{}, false],
      [{ origin: 'https://evil.test' }, false],
      [{ origin: 'null' }, false],
      [{ 'sec-fetch-site': 'cross-site' }, false],
      [{ 'sec-fetch-site': 'same-origin' }, true],
      [{ origin: own }, true],
      [{ origin: 'https://allowed.test' }, true],
    ];
    for (const [headers, isLetIn] of expected) {
      const stream = await (isLetIn
        ? opened(world, SSE, { user: '', method: 'GET', headers })
        : world.stream(SSE, EVENTS, { user: '', method: 'GET', headers }));
      if (!isLetIn) expect(await stream.end(), JSON.stringify(headers)).toMatch(/cross-site/);
      stream.cut();
    }
    await isOver(world);
    expect(world.log.opened).toHaveLength(3);
  });

  test('by GET when it would be a mutation', async () => {
    const world = await aWorld();
    const headers = { 'sec-fetch-site': 'same-origin' };
    const stream = await world.stream(SSE, 'mutation { poke }', { method: 'GET', headers });
    expect(stream.status).toBe(405);
  });
});

test('an EventSource that comes back with the id of its last event goes on after it', async () => {
  const world = await aWorld();
  const headers = { 'sec-fetch-site': 'same-origin' };
  const first = await opened(world, SSE, { method: 'GET', headers });
  world.log.push();
  await first.read(has('c1'), 'the event');
  first.cut();
  await isOver(world);
  world.log.push();
  const again = await opened(world, SSE, { method: 'GET', headers: { ...headers, 'last-event-id': '1' } });
  await again.read(has('c2'), 'what came meanwhile');
  expect(numbersOf(again.text)).toEqual([2]);
});

function numbersOf(text: string): number[] {
  return [...text.matchAll(/"number":(\d+)/g)].map(([, number]) => Number(number));
}
