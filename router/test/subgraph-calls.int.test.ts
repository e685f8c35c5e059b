import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as textOf } from 'node:stream/consumers';
import { until } from '@taskflow/tests/kit/until';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { RouterConfig } from '../src/config.ts';
import type { Router } from '../src/server.ts';
import { aRouter, aSupergraph, ask, aViewer, codesOf, send, type TestSupergraph } from './fixture.ts';

let supergraph: TestSupergraph;
let token: string;
const ada = aViewer();

beforeEach(async () => {
  supergraph = await aSupergraph();
  token = supergraph.tokenFor(ada);
});

/** The subgraph `task`, answered by hand. */
interface ByHand {
  url: string;
  asked: { query: string; body: string; response: ServerResponse; isGone: boolean }[];
}

type Reply = (query: string, response: ServerResponse, at: number) => unknown;

async function byHand(reply: Reply): Promise<ByHand> {
  const hand: ByHand = { url: '', asked: [] };
  const server = createServer(async (request: IncomingMessage, response) => {
    if (request.method !== 'POST') return response.end();
    const body = await textOf(request);
    const { query } = JSON.parse(body);
    const call = { query, body, response, isGone: false };
    response.once('close', () => {
      call.isGone = !response.writableFinished;
    });
    hand.asked.push(call);
    await reply(query, response, hand.asked.length);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  hand.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`;
  return hand;
}

const data = (value: object) => JSON.stringify({ data: value });
const refused = (code: string, extensions = {}) =>
  JSON.stringify({ data: null, errors: [{ message: 'no', extensions: { code, ...extensions } }] });

const routerTo = (task: string, change: Partial<RouterConfig> = {}): Promise<Router> =>
  aRouter({ ...supergraph, urls: { ...supergraph.urls, task } }, (config) => ({ ...config, ...change }));

const SLOW = '{ slow(ms: 0) }';
const SAME_FETCH = '{ slow(ms: 0) } # another document';
const slowOf = (answers: { body: { data: { slow: string } } }[]) => answers.map(({ body }) => body.data.slow);

describe('equal reads at the same time', () => {
  it('of one viewer are one call, and each reader has an answer of its own', async () => {
    const router = await aRouter(supergraph);
    const asking = () => ask(router, '{ slow(ms: 150) }', { token });
    const answers = await Promise.all(Array.from({ length: 20 }, asking));
    expect(new Set(slowOf(answers))).toEqual(new Set(['late']));
    expect(supergraph.calls).toHaveLength(1);
    await asking();
    expect(supergraph.calls).toHaveLength(2);
  });

  it('are executed once when the whole operation is the same', async () => {
    const router = await aRouter(supergraph);
    const asking = (variables: object) =>
      ask(router, 'query($ms: Int!) { slow(ms: $ms) }', { token, variables });
    await asking({ ms: 0 });
    const answers = await Promise.all([200, 200, 200, 201].map((ms) => asking({ ms })));
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(new Set(answers.map(({ headers }) => headers.get('x-request-id'))).size).toBe(4);
    expect([await joined(router), supergraph.calls.length]).toEqual([2, 3]);
  });

  it('are executed by each when the answer is not whole', async () => {
    const hand = await byHand((_query, response, at) => at > 1 && response.end(data({ slow: 'x' })));
    const router = await routerTo(hand.url);
    const first = ask(router, SLOW, { token });
    await until('the call to arrive', () => hand.asked.length === 1);
    const second = ask(router, SLOW, { token });
    await until('the second to join', async () => (await joined(router)) === 1);
    hand.asked[0]?.response.end(refused('FORBIDDEN'));
    expect([codesOf(await first), slowOf([await second])]).toEqual([['FORBIDDEN'], ['x']]);
  });

  it('are completed by other subgraphs each for itself', async () => {
    const router = await aRouter(supergraph);
    const text = '{ tasks(count: 3) { id assignee { name } } }';
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask(router, text, { token })));
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(answers[0]?.body.data.tasks[0].assignee.name).toBe('name of u0');
  });

  it.each<[string, () => Parameters<typeof ask>[2]]>([
    ['another viewer', () => ({ token: supergraph.tokenFor(aViewer()) })],
    ['nobody', () => ({})],
    ['another session', () => ({ token: supergraph.tokenFor({ ...ada, sessionId: 'another' }) })],
    ['another role', () => ({ token: supergraph.tokenFor({ ...ada, role: 'GUEST' }) })],
    ['a later state', () => ({ token, headers: { 'taskflow-min-sync-id': '7' } })],
    ['another language', () => ({ token, headers: { 'accept-language': 'de' } })],
  ])('of %s are calls of their own', async (_what, other) => {
    const hand = await byHand(() => {});
    const router = await routerTo(hand.url);
    const asking = [ask(router, SLOW, { token }), ask(router, SLOW, other())];
    await until('both to arrive', () => hand.asked.length === 2);
    for (const { response } of hand.asked) response.end(data({ slow: 'x' }));
    await Promise.all(asking);
  });

  it('are a call each when it is switched off', async () => {
    const hand = await byHand(() => {});
    const router = await routerTo(hand.url, { isDeduplicating: false });
    const asking = [1, 2, 3].map(() => ask(router, SLOW, { token }));
    await until('all to arrive', () => hand.asked.length === 3);
    for (const { response } of hand.asked) response.end(data({ slow: 'x' }));
    await Promise.all(asking);
  });

  it('are not joined by who has made a change: a read after a write sees it', async () => {
    let state = 'old';
    const hand = await byHand((query, response) => {
      if (query.startsWith('mutation')) {
        state = 'new';
        response.end(data({ taskTouch: 'done' }));
      } else if (state === 'new') response.end(data({ slow: state }));
    });
    const router = await routerTo(hand.url);
    const before = ask(router, SLOW, { token });
    await until('the read to arrive', () => hand.asked.length === 1);
    await ask(router, 'mutation { taskTouch }', { token });
    expect(slowOf([await ask(router, SLOW, { token })])).toEqual(['new']);
    hand.asked[0]?.response.end(data({ slow: 'old' }));
    expect(slowOf([await before])).toEqual(['old']);
  });

  it.each([
    ['one operation', SLOW],
    ['two operations with a fetch in common', SAME_FETCH],
  ])('go on when one reader of %s leaves, and are cancelled when all have left', async (_what, text) => {
    const hand = await byHand(() => {});
    const router = await routerTo(hand.url);
    const leaving = () => {
      const controller = new AbortController();
      const init = {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
        body: JSON.stringify({ query: SLOW }),
        signal: controller.signal,
      };
      const outcome = send(router, init).catch((error) => error);
      return { outcome, leave: () => controller.abort() };
    };
    const first = leaving();
    await until('the call to arrive', () => hand.asked.length === 1);
    const staying = ask(router, text, { token });
    await until('the second to join', async () => (await joined(router)) === 1);
    first.leave();
    await first.outcome;
    hand.asked[0]?.response.end(data({ slow: 'x' }));
    expect(slowOf([await staying])).toEqual(['x']);

    const alone = leaving();
    await until('the call to arrive', () => hand.asked.length === 2);
    alone.leave();
    await until('the call to be cancelled', () => hand.asked[1]?.isGone);
    expect((await reads(router)).inFlight).toBe(0);
  });

  it('are asked anew for who has more time than the first had', async () => {
    const hand = await byHand((_query, response, at) => {
      if (at === 2) response.end(data({ slow: 'x' }));
    });
    const router = await routerTo(hand.url, { subgraphTimeoutMs: 400 });
    const first = ask(router, SLOW, { token });
    await until('the call to arrive', () => hand.asked.length === 1);
    const startedAt = performance.now();
    await until('some of its time to pass', () => performance.now() - startedAt > 150);
    const second = ask(router, SLOW, { token });
    expect(codesOf(await first)).toEqual(['TIMEOUT']);
    expect(slowOf([await second])).toEqual(['x']);
  });

  it('share a failure, and do not keep it', async () => {
    const hand = await byHand((_query, response, at) => at === 2 && response.end(data({ slow: 'x' })));
    const router = await routerTo(hand.url, { subgraphRetriesMax: 0 });
    const asking = [SLOW, SAME_FETCH].map((text) => ask(router, text, { token }));
    await until('the second to join', async () => (await joined(router)) === 1);
    hand.asked[0]?.response.destroy();
    expect((await Promise.all(asking)).map(codesOf)).toEqual(Array(2).fill(['SUBGRAPH_UNAVAILABLE']));
    expect(slowOf([await ask(router, SLOW, { token })])).toEqual(['x']);
  });
});

/** How often somebody waited for what another had asked: whole operations and single calls. */
async function joined(router: Router): Promise<number> {
  const { shared, sharedOperations } = await reads(router);
  return shared + sharedOperations;
}

const reads = async (router: Router) => (await send(router, {}, '/health')).body.calls.reads;
const breakerOf = async (router: Router) => (await send(router, {}, '/health')).body.calls.breakers.task;

describe('a call that failed on its way', () => {
  it.each<[string, Reply]>([
    ['503', (_, response, at) => at === 1 && response.writeHead(503).end('<h1>away</h1>')],
    ['a lost connection', (_, response, at) => at === 1 && response.destroy()],
    [
      'SUBGRAPH_UNAVAILABLE',
      (_, response, at) => at === 1 && response.end(refused('SUBGRAPH_UNAVAILABLE', { retryable: true })),
    ],
  ])('with %s is made again for a read', async (_what, reply) => {
    const hand = await byHand(async (query, response, at) => {
      await reply(query, response, at);
      if (at > 1) response.end(data({ slow: 'x' }));
    });
    const { body } = await ask(await routerTo(hand.url), SLOW, { token });
    expect([body, hand.asked.length]).toEqual([{ data: { slow: 'x' } }, 2]);
  });

  it.each([
    ['once', {}, 1],
    ['again, with the same bytes, when it has a key', { 'idempotency-key': 'k1' }, 2],
  ])('is made %s for a mutation', async (_what, headers, times) => {
    const hand = await byHand((_, response) => response.destroy());
    await ask(await routerTo(hand.url), 'mutation { taskTouch }', { token, headers });
    expect(hand.asked).toHaveLength(times);
    expect(new Set(hand.asked.map(({ body }) => body)).size).toBe(1);
  });

  it('is not made again for everybody: an outage is not doubled', async () => {
    const hand = await byHand((_, response) => response.writeHead(503).end());
    const router = await routerTo(hand.url, { breaker: { failuresPercent: 0, openMs: 1 } });
    await Promise.all(Array.from({ length: 100 }, (_, n) => ask(router, `{ slow(ms: ${n}) }`, { token })));
    expect(hand.asked.length).toBeGreaterThan(100);
    expect(hand.asked.length).toBeLessThanOrEqual(100 + 20 + 10);
  });
});

describe('a subgraph that keeps failing', () => {
  const failing = async (reply: Reply, breaker = { failuresPercent: 50, openMs: 60_000 }) => {
    const hand = await byHand(reply);
    const router = await routerTo(hand.url, { breaker, subgraphRetriesMax: 0 });
    for (let n = 0; n < 20; n++) await ask(router, `{ slow(ms: ${n}) }`, { token });
    return { hand, router };
  };

  it('is left alone, with the time to come back, while others answer', async () => {
    const { hand, router } = await failing((_, response) => response.end('<h1>maintenance</h1>'));
    const { body } = await ask(router, '{ me { name openTaskCount } }', { token });
    expect(body.data.me).toEqual({ name: expect.any(String), openTaskCount: null });
    expect(body.errors[0].extensions).toMatchObject({ code: 'SUBGRAPH_UNAVAILABLE', retryable: true });
    expect(body.errors[0].extensions.retryAfterMs).toBeGreaterThan(50_000);
    expect(hand.asked).toHaveLength(20);
    expect((await breakerOf(router)).state).toBe('open');
  });

  it('has refused a mutation before anything was sent: it may be repeated', async () => {
    const { router } = await failing((_, response) => response.destroy());
    const { body } = await ask(router, 'mutation { taskTouch }', { token });
    expect(body.errors[0].extensions).toMatchObject({ code: 'SUBGRAPH_UNAVAILABLE', retryable: true });
  });

  it('is tried by one call after a while, and used again when that is answered', async () => {
    let isUp = false;
    const { hand, router } = await failing(
      (_, response) => (isUp ? response.end(data({ slow: 'x' })) : response.destroy()),
      { failuresPercent: 50, openMs: 300 },
    );
    isUp = true;
    const answers = await until('it to be used again', async () => {
      const answered = await ask(router, SLOW, { token });
      return codesOf(answered).length === 0 ? answered : null;
    });
    expect(slowOf([answers])).toEqual(['x']);
    expect([hand.asked.length, (await breakerOf(router)).state]).toEqual([21, 'closed']);
  });

  it('is not one whose answers carry errors', async () => {
    const { hand, router } = await failing((_, response) => response.end(refused('FORBIDDEN')));
    await ask(router, SLOW, { token });
    expect([hand.asked.length, (await breakerOf(router)).state]).toEqual([21, 'closed']);
  });

  it('has as many calls waiting as it may, and refuses more at once', async () => {
    const hand = await byHand(() => {});
    const router = await routerTo(hand.url, { subgraphConnectionsMax: 1, subgraphWaitingMax: 1 });
    const waiting = [1, 2].map((n) => ask(router, `{ slow(ms: ${n}) }`, { token }));
    await until('both to wait', async () => (await breakerOf(router))?.calls === 2);
    const { body } = await ask(router, SLOW, { token });
    expect(body.errors[0].extensions).toMatchObject({ code: 'SUBGRAPH_UNAVAILABLE', retryAfterMs: 1_000 });
    await until('the first to arrive', () => hand.asked.length === 1);
    hand.asked[0]?.response.end(data({ slow: 'x' }));
    await until('the second to arrive', () => hand.asked.length === 2);
    hand.asked[1]?.response.end(data({ slow: 'x' }));
    expect(slowOf(await Promise.all(waiting))).toEqual(['x', 'x']);
  });
});

describe('the time of an operation', () => {
  const hanging = () => byHand(() => {});

  it('ends all its calls, however long each might have taken', async () => {
    const { url } = await hanging();
    const router = await routerTo(url, { operationTimeoutMs: 1_000, subgraphTimeoutMs: 60_000 });
    const answer = await ask(router, '{ me { name openTaskCount } }', { token });
    expect([codesOf(answer), answer.body.data.me.name]).toEqual([['TIMEOUT'], expect.any(String)]);
  });

  it('may be shorter for one subgraph', async () => {
    const { url } = await hanging();
    const router = await routerTo(url, { subgraphTimeoutsMs: { task: 200 }, subgraphTimeoutMs: 60_000 });
    expect(codesOf(await ask(router, SLOW, { token }))).toEqual(['TIMEOUT']);
  });

  it('is told to the subgraph in its signed context, a little short of what is left', async () => {
    const router = await aRouter(supergraph, (config) => ({ ...config, operationTimeoutMs: 3_000 }));
    await ask(router, '{ me { name openTaskCount } }', { token });
    const told = supergraph.calls.map(({ claims }) => claims.deadlineMs ?? 0);
    expect(told).toHaveLength(2);
    for (const ms of told) expect(ms).toBeLessThanOrEqual(2_900);
    expect(told[1]).toBeLessThan(told[0] ?? 0);
  });
});

describe('subgraphs of the same process', () => {
  const locally = (change: Partial<RouterConfig> = {}) =>
    aRouter(
      { ...supergraph, urls: { user: supergraph.urls.user, task: 'http://127.0.0.1:1/graphql' } },
      (config) => ({ ...config, ...change }),
      { localSubgraphs: new Map([['task', supergraph.services.task]]) },
    );

  it.each([
    '{ tasks(count: 3) { id title assignee { name openTaskCount } } }',
    '{ task { id } }',
    '{ broken }',
    '{ strict { never } }',
    'mutation { taskTouch }',
    '{ me { id openTaskCount secretPlan } }',
  ])('answer %s as over HTTP, without a connection', async (text) => {
    const remote = await aRouter(supergraph);
    const headers = { 'x-request-id': 'request-17' };
    const [here, there] = [await locally(), remote].map((router) => ask(router, text, { token, headers }));
    expect((await here)?.text).toBe((await there)?.text);
  });

  it('share equal reads, each reader with objects of its own', async () => {
    const router = await locally();
    const asking = () => ask(router, '{ slow(ms: 100) }', { token });
    expect(new Set(slowOf(await Promise.all([1, 2, 3].map(asking))))).toEqual(new Set(['late']));
    expect(supergraph.calls).toHaveLength(1);
  });

  it('are given up at the deadline', async () => {
    const router = await locally({ subgraphTimeoutMs: 100 });
    expect(codesOf(await ask(router, '{ slow(ms: 2000) }', { token }))).toEqual(['TIMEOUT']);
  });

  it('refuse what another key has signed', async () => {
    const router = await locally();
    const ring = [{ id: 'k1', secret: Buffer.alloc(32) }];
    const forging = await aRouter(
      supergraph,
      (config) => ({ ...config, keyRings: { ...config.keyRings, task: ring } }),
      { localSubgraphs: new Map([['task', supergraph.services.task]]) },
    );
    expect(codesOf(await ask(forging, SLOW, { token }))).toEqual(['SUBGRAPH_UNAVAILABLE']);
    expect(supergraph.calls).toEqual([]);
    expect(codesOf(await ask(router, SLOW, { token }))).toEqual([]);
  });

  it('that stop are away like others', async () => {
    const router = await locally();
    await supergraph.services.task.stop();
    const { body } = await ask(router, '{ me { name openTaskCount } }', { token });
    expect(body.data.me.openTaskCount).toBeNull();
    expect(body.errors[0].extensions.code).toBe('SUBGRAPH_UNAVAILABLE');
  });
});
