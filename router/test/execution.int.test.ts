import { writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { Router } from '../src/server.ts';
import {
  aRouter,
  aSupergraph,
  ask,
  aViewer,
  codesOf,
  composed,
  send,
  type TestSupergraph,
} from './fixture.ts';

let supergraph: TestSupergraph;
let router: Router;
let token: string;

beforeEach(async () => {
  supergraph = await aSupergraph();
  router = await aRouter(supergraph);
  token = supergraph.tokenFor(aViewer());
});

async function aServer(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`;
}

const routerWithTask = (task: string, change?: Parameters<typeof aRouter>[1]) =>
  aRouter({ ...supergraph, urls: { ...supergraph.urls, task } }, change);

describe('an operation over several subgraphs', () => {
  it.each([1, 10, 100])('makes one call per fetch of its plan for %i items', async (count) => {
    const text = 'query($n: Int!) { tasks(count: $n) { id title assignee { name openTaskCount } } }';
    const { body } = await ask(router, text, { token, variables: { n: count } });
    expect(body.errors).toBeUndefined();
    expect(body.data.tasks).toHaveLength(count);
    expect(body.data.tasks[0]).toEqual({
      id: 't0',
      title: 'Task 0',
      assignee: { name: 'name of u0', openTaskCount: 3 },
    });
    expect(supergraph.calls.map(({ subgraph }) => subgraph)).toEqual(['task', 'user']);
  });

  it.each([
    ['variable', 'mutation($at: DateTime) { rename(name: "x") taskTouch(at: $at) }', 'BAD_USER_INPUT'],
    ['literal', 'mutation { rename(name: "x") taskTouch(at: "tomorrow") }', 'GRAPHQL_VALIDATION_FAILED'],
  ])('makes no call at all when one of them could not read a %s', async (_what, query, code) => {
    const answered = await ask(router, query, { token, variables: { at: 'tomorrow' } });
    expect([answered.status, codesOf(answered), supergraph.calls]).toEqual([400, [code], []]);
  });

  it('answers every request of a crowd with its own viewer', async () => {
    const viewers = Array.from({ length: 40 }, () => aViewer());
    const answers = await Promise.all(
      viewers.map((viewer) =>
        ask(router, '{ me { id openTaskCount } }', { token: supergraph.tokenFor(viewer) }),
      ),
    );
    expect(answers.map(({ body }) => body.data.me.id)).toEqual(viewers.map(({ userId }) => userId));
  });

  it('carries one request id to every subgraph', async () => {
    await ask(router, '{ me { id openTaskCount } }', { token, headers: { 'x-request-id': 'request-17' } });
    expect(supergraph.calls.map(({ claims }) => claims.requestId)).toEqual(['request-17', 'request-17']);
  });
});

describe('an operation with @defer', () => {
  const QUERY = '{ me { name ... @defer(label: "count") { openTaskCount } } }';
  const PARTS = { accept: 'multipart/mixed;deferSpec=20220824, application/json' };

  it('is answered in parts to whom takes them, and its calls are made all the same', async () => {
    const { text, headers } = await ask(router, QUERY, { token, headers: PARTS });
    expect(headers.get('content-type')).toContain('multipart/mixed');
    const parts = [...text.matchAll(/^\{.*\}$/gm)].map(([json]) => JSON.parse(json));
    expect(parts).toEqual([
      { data: { me: { name: expect.any(String) } }, hasNext: true },
      { incremental: [{ data: { openTaskCount: 3 }, path: ['me'], label: 'count' }], hasNext: false },
    ]);
    expect(supergraph.calls.map(({ subgraph }) => subgraph).toSorted()).toEqual(['task', 'user']);
  });

  it('is one answer to everybody else', async () => {
    const { body } = await ask(router, QUERY, { token });
    expect(body).toEqual({ data: { me: { name: expect.any(String), openTaskCount: 3 } } });
  });

  it('masks the errors of its parts', async () => {
    await supergraph.services.task.stop();
    const { text } = await ask(router, QUERY, { token, headers: PARTS });
    const last = JSON.parse([...text.matchAll(/^\{.*\}$/gm)].at(-1)?.[0] ?? '');
    expect(last.incremental[0]).toMatchObject({
      data: { openTaskCount: null },
      errors: [{ path: ['me'], extensions: { code: 'SUBGRAPH_UNAVAILABLE', requestId: expect.any(String) } }],
    });
  });
});

describe('a subgraph that fails', () => {
  it.each<[string, RequestListener]>([
    [
      'an HTML page',
      (_, response) => response.writeHead(502, { 'content-type': 'text/html' }).end('<h1>10.0.0.7</h1>'),
    ],
    ['something that is no GraphQL', (_, response) => response.writeHead(200).end('{"hello":"10.0.0.7"}')],
    ['half of an answer', (_, response) => response.writeHead(200).end('{"data":')],
    ['a closed connection', (request) => request.socket.destroy()],
    [
      '401, refusing the router itself',
      (_, response) =>
        response
          .writeHead(401)
          .end('{"errors":[{"message":"10.0.0.7","extensions":{"code":"UNAUTHENTICATED"}}]}'),
    ],
  ])('by answering %s leaves the data of the others, with SUBGRAPH_UNAVAILABLE', async (_what, listener) => {
    const partial = await routerWithTask(await aServer(listener));
    const { status, body, text } = await ask(partial, '{ me { name openTaskCount } }', { token });
    expect([status, body.data.me]).toEqual([200, { name: expect.any(String), openTaskCount: null }]);
    expect(body.errors).toHaveLength(1);
    expect(body.errors[0].extensions).toEqual({
      code: 'SUBGRAPH_UNAVAILABLE',
      retryable: true,
      requestId: expect.any(String),
    });
    expect(text).not.toMatch(/10\.0\.0\.7|127\.0\.0\.1|task"|ECONN|stack|serviceName/);
  });

  it('by not being there leaves the data of the others', async () => {
    await supergraph.services.task.stop();
    const answer = await ask(router, '{ me { name openTaskCount } }', { token });
    expect([answer.status, codesOf(answer), answer.body.data.me.openTaskCount]).toEqual([
      200,
      ['SUBGRAPH_UNAVAILABLE'],
      null,
    ]);
  });

  it('by hanging is given up at the deadline, with TIMEOUT beside the data of the others', async () => {
    const impatient = await routerWithTask(await aServer(() => {}), (config) => ({
      ...config,
      subgraphTimeoutMs: 100,
    }));
    const startedAt = performance.now();
    const answer = await ask(impatient, '{ me { name openTaskCount } }', { token });
    expect([answer.status, codesOf(answer)]).toEqual([200, ['TIMEOUT']]);
    expect(answer.body.data.me.name).toEqual(expect.any(String));
    expect(performance.now() - startedAt).toBeLessThan(3_000);
  });

  it('is asked a second time for a read when the connection was lost, and never for a mutation', async () => {
    let asked = 0;
    const task = await aServer((request) => {
      asked++;
      request.socket.destroy();
    });
    const unlucky = await routerWithTask(task);
    await ask(unlucky, '{ tasks(count: 1) { id } }', { token });
    expect(asked).toBe(2);
    const { body } = await ask(unlucky, 'mutation { taskTouch }', { token });
    expect(asked).toBe(3);
    expect(body.errors[0].extensions).toMatchObject({ code: 'SUBGRAPH_UNAVAILABLE', retryable: false });
  });

  it('with a bug of its own is masked: a fixed sentence, the path, the request id', async () => {
    const { body, text } = await ask(router, '{ broken }', { token });
    expect(body).toEqual({
      data: { broken: null },
      errors: [
        {
          message: expect.stringContaining('quote the request id'),
          path: ['broken'],
          extensions: { code: 'INTERNAL_SERVER_ERROR', requestId: expect.any(String) },
        },
      ],
    });
    expect(text).not.toMatch(/select|10\.0\.0\.7/);
  });

  it.each(['GRAPHQL_VALIDATION_FAILED', 'SOME_OTHER_CODE', undefined])(
    'with the code %s is masked',
    async (code) => {
      const errors = [
        {
          message: 'Cannot query field "x" of host 10.0.0.7',
          path: ['tasks'],
          extensions: { code, host: '10.0.0.7' },
        },
      ];
      const task = await aServer((_, response) =>
        response.writeHead(200).end(JSON.stringify({ data: null, errors })),
      );
      const { body, text } = await ask(await routerWithTask(task), '{ tasks(count: 1) { id } }', { token });
      expect(body.errors[0].extensions).toEqual({
        code: 'INTERNAL_SERVER_ERROR',
        requestId: expect.any(String),
      });
      expect(text).not.toContain('10.0.0.7');
    },
  );

  it('with a public code says what it says, and nothing beside it', async () => {
    const errors = [
      {
        message: 'The cursor belongs to another list.',
        path: ['task'],
        extensions: {
          code: 'BAD_USER_INPUT',
          retryable: false,
          retryAfterMs: 5,
          sql: 'select',
          stacktrace: ['at x'],
        },
      },
    ];
    const task = await aServer((_, response) =>
      response.writeHead(200).end(JSON.stringify({ data: { task: null }, errors })),
    );
    const { body } = await ask(await routerWithTask(task), '{ task { id } }', { token });
    expect(body.errors).toEqual([
      {
        message: 'The cursor belongs to another list.',
        path: ['task'],
        extensions: {
          code: 'BAD_USER_INPUT',
          retryable: false,
          retryAfterMs: 5,
          requestId: expect.any(String),
        },
      },
    ]);
  });

  it('with a null where none may be gives an error, not a silent null', async () => {
    const task = await aServer((_, response) =>
      response.writeHead(200).end('{"data":{"strict":{"never":null}}}'),
    );
    const { body } = await ask(await routerWithTask(task), '{ strict { never } }', { token });
    expect(body.data).toEqual({ strict: null });
    expect(body.errors).toEqual([
      expect.objectContaining({
        path: ['strict', 'never'],
        extensions: expect.objectContaining({ code: 'INTERNAL_SERVER_ERROR' }),
      }),
    ]);
    expect(body.extensions).toBeUndefined();
  });

  it.each([
    [
      'is not there',
      (_: unknown, response: ServerResponse) => response.end('{"data":{"_entities":[null]}}'),
      [],
    ],
    [
      'is not to be had',
      (_: unknown, response: ServerResponse) => response.destroy(),
      ['SUBGRAPH_UNAVAILABLE'],
    ],
  ])(
    'gives null for a reference whose entity %s, and no error of our own making',
    async (_, listener, codes) => {
      const answered = await ask(
        await routerWithTask(await aServer(listener)),
        '{ me { id lastTask { id title } } }',
        { token },
      );
      expect(answered.body.data).toEqual({ me: { id: expect.any(String), lastTask: null } });
      expect(codesOf(answered)).toEqual(codes);
    },
  );

  it('cannot change what every object has', async () => {
    const task = await aServer((_, response) =>
      response
        .writeHead(200)
        .end(
          '{"data":{"task":{"id":"1","title":"t","__proto__":{"polluted":true}},"__proto__":{"polluted":true}}}',
        ),
    );
    const polluting = await routerWithTask(task);
    await ask(polluting, '{ task { id title } }', { token });
    await ask(polluting, '{ task { id constructor: title } }', { token });
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });
});

describe('a supergraph that is replaced', () => {
  const subgraphs = (extra: string) => [
    {
      name: 'user',
      url: supergraph.urls.user,
      sdl: `type Query { me: User health: String ${extra} } type User { id: ID! }`,
    },
  ];

  it('serves new operations while those in flight end on the old one', async () => {
    const slow = ask(router, '{ slow(ms: 300) }', { token });
    await expect.poll(() => supergraph.calls.length).toBe(1);
    await writeFile(supergraph.file, composed(subgraphs('more: String')));
    expect(await router.supergraph.refresh()).toBe(true);
    expect((await slow).body).toEqual({ data: { slow: 'late' } });
    expect(codesOf(await ask(router, '{ slow(ms: 1) }', { token }))).toEqual(['GRAPHQL_VALIDATION_FAILED']);
    expect((await ask(router, '{ me { id } }', { token })).status).toBe(200);
  });

  it('tells its listeners, and not when nothing changed', async () => {
    const told: string[] = [];
    router.supergraph.onSwap((next, previous) => told.push(next.id, previous.id));
    const before = router.supergraph.current().id;
    expect(await router.supergraph.refresh()).toBe(false);
    await writeFile(supergraph.file, composed(subgraphs('more: String')));
    await router.supergraph.refresh();
    expect(told).toEqual([router.supergraph.current().id, before]);
  });

  it.each([
    ['is no supergraph', 'type Query { a: Int }'],
    ['is half written', 'schema @link('],
    ['is empty', ''],
  ])('by a file that %s keeps the last good one', async (_what, text) => {
    await writeFile(supergraph.file, text);
    expect(await router.supergraph.refresh()).toBe(false);
    expect((await ask(router, '{ health }')).body).toEqual({ data: { health: 'fine' } });
  });

  it('is noticed by itself', async () => {
    const watching = await aRouter(supergraph, (config) => ({ ...config, supergraphPollMs: 20 }));
    await writeFile(supergraph.file, composed(subgraphs('more: String')));
    await expect
      .poll(async () => codesOf(await ask(watching, '{ slow(ms: 1) }', { token })), { timeout: 10_000 })
      .toEqual(['GRAPHQL_VALIDATION_FAILED']);
  });
});

describe('health', () => {
  const health = async (path: string, of = router) => {
    const { status, body } = await send(of, {}, path);
    return [status, body];
  };

  it('is live and ready with its parts', async () => {
    expect(await health('/health/live')).toEqual([200, { status: 'live' }]);
    expect(await health('/health/ready')).toEqual([200, { ready: true, reasons: [], degraded: [] }]);
    const [status, body] = await health('/health');
    expect([status, body.status, Object.keys(body.parts).sort()]).toEqual([
      200,
      'healthy',
      ['supergraph', 'task', 'user'],
    ]);
    expect(body.parts.task).toEqual({ status: 'up', essential: false, latencyMs: expect.any(Number) });
  });

  it('is not ready before a subgraph has been there, and says which; degraded when it is lost later', async () => {
    const early = await aRouter(supergraph, (config) => ({
      ...config,
      subgraphUrls: { ...config.subgraphUrls, task: 'http://127.0.0.1:1/graphql' },
    }));
    expect(await health('/health/ready', early)).toEqual([
      503,
      { ready: false, reasons: ['task'], degraded: [] },
    ]);
    expect((await health('/health/ready'))[0]).toBe(200);
    await supergraph.services.task.stop();
    expect(await health('/health/ready')).toEqual([200, { ready: true, reasons: [], degraded: ['task'] }]);
    expect((await health('/health'))[1]).toMatchObject({
      status: 'degraded',
      parts: { task: { status: 'down' } },
    });
  });

  it('is neither ready nor healthy when it reaches no subgraph at all', async () => {
    expect((await health('/health/ready'))[0]).toBe(200);
    await Promise.all([supergraph.services.task.stop(), supergraph.services.user.stop()]);
    expect(await health('/health/ready')).toEqual([
      503,
      { ready: false, reasons: ['user', 'task'], degraded: [] },
    ]);
    expect((await health('/health'))[1].status).toBe('unhealthy');
  });
});

describe('a router that stops', () => {
  it('answers what is in flight, closes the connection, and refuses what comes later', async () => {
    const slow = ask(router, '{ slow(ms: 300) }', { token });
    await expect.poll(() => supergraph.calls.length).toBe(1);
    const stopping = router.stop();
    const { body, headers } = await slow;
    expect([body, headers.get('connection')]).toEqual([{ data: { slow: 'late' } }, 'close']);
    await stopping;
    await expect(ask(router, '{ health }')).rejects.toThrow();
  });

  it('is unready from the moment shutdown begins, while it still serves', async () => {
    const draining = await aRouter(supergraph, (config) => ({ ...config, drainDelayMs: 500 }));
    const stopping = draining.stop();
    const { status, body } = await send(draining, {}, '/health/ready');
    expect([status, body.reasons]).toEqual([503, ['stopping']]);
    expect((await ask(draining, '{ health }')).status).toBe(200);
    await stopping;
  });

  it('may be stopped twice, and without having started', async () => {
    await Promise.all([router.stop(), router.stop()]);
    await router.stop();
  });

  it('says in one sentence that its port is taken', async () => {
    await expect(aRouter(supergraph, (config) => ({ ...config, port: router.port }))).rejects.toThrow(
      /already in use.*ROUTER_PORT/,
    );
  });
});
