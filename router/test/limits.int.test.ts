import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { openSocket } from '@taskflow/tests/kit/socket';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { RouterConfig } from '../src/config.ts';
import { anonymousConfig, readRouterConfig } from '../src/config.ts';
import type { Router } from '../src/server.ts';
import {
  type Answered,
  aRouter,
  aSupergraph,
  ask,
  aViewer,
  codesOf,
  send,
  type TestSupergraph,
} from './fixture.ts';
import { hostile } from './hostile-documents.ts';

const { cost: COST, admission: ADMISSION } = readRouterConfig({});
const json = { 'content-type': 'application/json' };

/** Subgraphs that answer every call alike; and how many calls there were. */
async function someSubgraphs(
  answer: () => object = () => ({ data: null }),
): Promise<{ url: string; calls(): number }> {
  let calls = 0;
  const server = createServer((request, response) => {
    calls++;
    request.resume();
    request.on('end', () =>
      response.setHeader('content-type', 'application/json').end(JSON.stringify(answer())),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(
    () => new Promise<void>((resolve) => void server.close(() => resolve()).closeAllConnections()),
  );
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`, calls: () => calls };
}

interface Scene {
  world: TestSupergraph;
  router: Router;
  subgraphs: Awaited<ReturnType<typeof someSubgraphs>>;
}

/** A router with the limits of `npm start`, over TaskFlow's own file. */
async function aLimitedRouter(change: Partial<RouterConfig> = {}, answer?: () => object): Promise<Scene> {
  const world = await aSupergraph();
  const subgraphs = await someSubgraphs(answer);
  const names = ['user', 'org', 'task', 'notification'];
  const router = await aRouter(world, (config) => ({
    ...{ ...config, cost: COST, admission: ADMISSION, supergraphFile: 'schema/supergraph.graphql' },
    subgraphUrls: Object.fromEntries(names.map((name) => [name, subgraphs.url])),
    ...change,
  }));
  return { world, router, subgraphs };
}

const slow = (capacity: number) => ({ pointsPerS: 0.001, capacity });

describe('an operation that could cost too much', () => {
  it('is refused before it is planned, and reaches no subgraph, whatever makes it so', async () => {
    const { world, router, subgraphs } = await aLimitedRouter({ admission: { viewer: null, address: null } });
    const compile = vi.spyOn(router.supergraph.current(), 'compile');
    const token = world.tokenFor(aViewer());
    const answers: unknown[] = [];
    for (const { name, body } of hostile) {
      const answer = await send(router, {
        method: 'POST',
        headers: { ...json, authorization: `Bearer ${token}` },
        body,
      });
      const isShort = answer.text.length < 20_000;
      answers.push([name, answer.body?.errors?.[0]?.extensions.code, isShort || answer.text.slice(0, 500)]);
    }
    expect(answers).toEqual(hostile.map(({ name, code }) => [name, code, true]));
    expect([subgraphs.calls(), compile.mock.calls.length]).toEqual([0, 0]);
  });

  const DEEP = '{ tasks(first: 100) { nodes { project { tasks(first: 100) { nodes { id } } } } } }';

  it('is told what it would cost, what may be, and what to do, and pays nothing', async () => {
    const { world, router } = await aLimitedRouter();
    const answer = await ask(router, DEEP, { token: world.tokenFor(aViewer()) });
    expect([answer.status, codesOf(answer)]).toEqual([400, ['COST_LIMIT_EXCEEDED']]);
    expect(answer.body.errors[0].message).toMatch(/may cost 10301 points; at most 5000.*first/);
    expect(answer.body.extensions).toEqual({ cost: { requested: 10_301, limit: 5_000 } });
  });

  it('is refused over a socket alike', async () => {
    const { world, router, subgraphs } = await aLimitedRouter();
    const socket = await openSocket(`${router.url}/graphql`, world.tokenFor(aViewer()));
    const { type, payload } = await socket.subscribe(DEEP).frame();
    expect([type, payload[0].extensions.code, subgraphs.calls()]).toEqual([
      'error',
      'COST_LIMIT_EXCEEDED',
      0,
    ]);
  });
});

describe('an answer', () => {
  const TASKS = '{ tasks(first: 100) { nodes { title assignee { id } } } }';
  const twoTasks = () => ({
    data: {
      tasks: {
        nodes: [
          { title: 'a', assignee: { id: '1' } },
          { title: 'b', assignee: null },
        ],
      },
    },
  });

  it('says what it could have cost, what it did, and where its caller stands; the difference is given back', async () => {
    const { world, router } = await aLimitedRouter({}, twoTasks);
    const token = world.tokenFor(aViewer());
    const { body, headers } = await ask(router, TASKS, { token });
    const { cost } = body.extensions;
    expect(cost).toMatchObject({ requested: 201, actual: 4, limit: 5_000 });
    expect(cost.remaining).toBeGreaterThan(10_000 - 10);
    expect(Math.abs(Date.parse(cost.resetAt) - Date.now())).toBeLessThan(2_000);
    expect(headers.get('ratelimit-policy')).toBe('"viewer";q=10000;w=10');
    expect(headers.get('ratelimit')).toMatch(/^"viewer";r=\d+;t=\d+$/);
  });

  it('with errors gives nothing back: the work may have been done', async () => {
    const errors = [{ message: 'x', extensions: { code: 'INTERNAL_SERVER_ERROR' } }];
    const cost = { ...COST, points: { ...COST.points, viewer: slow(1_000) } };
    const { world, router } = await aLimitedRouter({ cost }, () => ({ data: null, errors }));
    const { body } = await ask(router, TASKS, { token: world.tokenFor(aViewer()) });
    expect(body.extensions.cost.remaining).toBe(1_000 - 201);
  });

  it('over a socket says it too', async () => {
    const { world, router } = await aLimitedRouter({}, twoTasks);
    const socket = await openSocket(`${router.url}/graphql`, world.tokenFor(aViewer()));
    const { payload } = await socket.subscribe(TASKS).frame();
    expect(payload.extensions.cost).toMatchObject({ requested: 201, actual: 4 });
  });
});

describe('points', () => {
  const CHEAP = '{ viewer { id } }';
  const limited = (points: Partial<typeof COST.points>) => ({
    cost: { ...COST, points: { viewer: null, organization: null, key: null, address: null, ...points } },
  });
  const until429 = async (router: Router, token?: string): Promise<Answered[]> => {
    const answers: Answered[] = [];
    while (answers.at(-1)?.status !== 429 && answers.length < 20)
      answers.push(await ask(router, CHEAP, token ? { token } : {}));
    return answers;
  };

  it('of a person run out for that person alone, with the time to wait', async () => {
    const { world, router, subgraphs } = await aLimitedRouter(limited({ viewer: slow(3) }));
    const [ada, bob] = [aViewer(), aViewer()];
    const answers = await until429(router, world.tokenFor(ada));
    expect(answers).toHaveLength(4);
    const refusal = answers.at(-1) as Answered;
    expect(codesOf(refusal)).toEqual(['RATE_LIMITED']);
    expect(refusal.body.errors[0].extensions).toMatchObject({
      retryable: true,
      retryAfterMs: expect.any(Number),
    });
    expect(Number(refusal.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(refusal.headers.get('ratelimit')).toMatch(/^"viewer";r=0;t=/);
    expect(subgraphs.calls()).toBe(3);
    for (const other of [bob, aViewer({ orgId: ada.orgId }), aViewer({ userId: ada.userId })]) {
      expect((await ask(router, CHEAP, { token: world.tokenFor(other) })).status).toBe(200);
    }
    const socket = await openSocket(`${router.url}/graphql`, world.tokenFor(ada));
    expect((await socket.subscribe(CHEAP).frame()).payload[0].extensions.code).toBe('RATE_LIMITED');
  });

  it('of an organisation run out for all of its people, and for no other organisation', async () => {
    const { world, router } = await aLimitedRouter(limited({ viewer: slow(10), organization: slow(3) }));
    const ada = aViewer();
    expect(await until429(router, world.tokenFor(ada))).toHaveLength(4);
    const colleague = await ask(router, CHEAP, { token: world.tokenFor(aViewer({ orgId: ada.orgId })) });
    expect([colleague.status, colleague.body.errors[0].message]).toEqual([
      429,
      expect.stringMatching(/^The organisation/),
    ]);
    expect((await ask(router, CHEAP, { token: world.tokenFor(aViewer()) })).status).toBe(200);
  });

  it('of an address are spent by strangers, and by nobody who is signed in there', async () => {
    const { world, router } = await aLimitedRouter(limited({ viewer: slow(10), address: slow(2) }));
    const token = world.tokenFor(aViewer());
    for (let n = 0; n < 5; n++) expect((await ask(router, CHEAP, { token })).status).toBe(200);
    expect(await until429(router)).toHaveLength(3);
    expect((await ask(router, CHEAP, { token })).status).toBe(200);
  });

  it('and costs are counted by nobody in a router for any supergraph, unless it is asked to', () => {
    const off = anonymousConfig({});
    expect([off.cost.costMax, Object.values(off.cost.points), Object.values(off.admission)]).toEqual([
      ...[0, [null, null, null, null], [null, null]],
    ]);
    const on = anonymousConfig({
      ROUTER_COST_MAX: '100',
      ROUTER_ADDRESS_POINTS_PER_S: '5',
      ROUTER_BURST_S: '2',
    });
    expect([on.cost.costMax, on.cost.points.address]).toEqual([100, { pointsPerS: 5, capacity: 10 }]);
  });
});
