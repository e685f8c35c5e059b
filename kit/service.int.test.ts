import { request as httpRequest } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { parseKeyRing } from './config.ts';
import { DomainError } from './errors.ts';
import { type Scope, signContext, type Viewer, verifyEstablished } from './identity.ts';
import { createLog } from './log.ts';
import { createGraphqlService, type GraphqlServiceOptions, type RequestContext } from './service.ts';

const ring = parseKeyRing(`k1:${'k'.repeat(32)}`);
const otherRing = parseKeyRing(`k1:${'x'.repeat(32)}`);
const ada: Viewer = { orgId: 'org-a', userId: 'ada', role: 'ORG_ADMIN', sessionId: 's1' };

const typeDefs = `
  extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key"])
  type Query { me: String  number(n: Int): Int  slow: String  broken: String  refused: String }
  type Mutation { login: Session!  other: String }
  type Session { user: String }
  type Thing @key(fields: "id") { id: ID! }
`;

interface Context extends RequestContext {
  builtFor: string;
}

const logLines: string[] = [];
const log = createLog({ process: 'thing', destination: { write: (line) => logLines.push(line) } });

/** A service whose resolvers count their calls, and a slow one that the test holds. */
function createThing(overrides: Partial<GraphqlServiceOptions> = {}) {
  const counts = { resolved: 0, steps: [] as string[] };
  const slow = Promise.withResolvers<string>();
  const entered = Promise.withResolvers<void>();
  const resolved =
    <T>(value: (context: Context) => T) =>
    (_s: unknown, _a: unknown, context: Context) => {
      counts.resolved++;
      return value(context);
    };
  const service = createGraphqlService({
    name: 'thing',
    host: '127.0.0.1',
    port: 0,
    typeDefs,
    resolvers: {
      Query: {
        me: resolved((context) => context.viewer?.userId ?? null),
        number: resolved(() => 1),
        slow: resolved(() => {
          entered.resolve();
          return slow.promise;
        }),
        broken: resolved(() => {
          throw new Error('select * from secrets at 10.0.0.1');
        }),
        refused: resolved(() => {
          throw new DomainError('RATE_LIMITED', 'Slow down.', { retryable: true, retryAfterMs: 9 });
        }),
      },
      Mutation: {
        login: resolved((context) => {
          context.establish(ada);
          return {};
        }),
        other: resolved(() => 'x'),
      },
      Session: { user: resolved((context) => `${context.viewer?.userId} ${context.builtFor}`) },
      Thing: { __resolveReference: resolved(() => ({ id: '1' })) },
    },
    contextRing: ring,
    allowUnsigned: false,
    log,
    context: (claims) => ({ builtFor: `for ${claims.viewer?.userId ?? 'nobody'}` }),
    probes: {},
    anonymousFields: ['login'],
    onStop: [() => counts.steps.push('consumers'), () => counts.steps.push('pools')],
    ...overrides,
  });
  return { service, counts, slow, entered };
}

const started: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((service) => service.stop()));
});

async function startThing(overrides: Partial<GraphqlServiceOptions> = {}) {
  const thing = createThing(overrides);
  started.push({
    stop: () => {
      thing.slow.resolve('late');
      return thing.service.stop();
    },
  });
  await thing.service.start();
  return thing;
}

const claimsOf = (viewer: Viewer | null) => ({ viewer, requestId: 'req-1', audience: 'thing' });

async function post(url: string, body: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
  // JSON of a test's own making: each test asserts the shape it needs.
  return { status: response.status, headers: response.headers, body: (await response.json()) as GraphqlBody };
}

interface GraphqlBody {
  data?: Record<string, unknown> | null;
  errors?: { message: string; extensions: { code: string } }[];
}

function ask(url: string, query: string, viewer: Viewer | null = ada) {
  const body = JSON.stringify({ query });
  return post(url, body, { 'taskflow-context': signContext(ring, claimsOf(viewer), body) });
}

const codeOf = (answer: { body: GraphqlBody }) => answer.body.errors?.[0]?.extensions.code;

describe('an API key', () => {
  const key = (...scopes: Scope[]): Viewer => ({ ...ada, scopes });
  const neededScope = (type: string, field: string) =>
    field === 'login' ? 'PERSON' : field === 'number' ? 'ADMIN' : type === 'Mutation' ? 'WRITE' : 'READ';
  const allowed: [string, Viewer][] = [
    ['{ me }', key('READ')],
    ['{ me number }', key('READ', 'ADMIN')],
    ['mutation { other }', key('WRITE')],
    ['{ __typename }', key('WRITE')],
    ['{ _entities(representations: [{ __typename: "Thing", id: "1" }]) { __typename } }', key('WRITE')],
    ['query Other { number } query Mine { me }', key('READ')],
  ];
  const refused: [string, Viewer, string][] = [
    ['{ me }', key('WRITE', 'ADMIN'), 'The API key lacks the scope READ, which me needs.'],
    ['mutation { other }', key('READ', 'ADMIN'), 'The API key lacks the scope WRITE, which other needs.'],
    ['{ me number }', key('READ', 'WRITE'), 'The API key lacks the scope ADMIN, which number needs.'],
    ['{ x: number }', key('READ'), 'The API key lacks the scope ADMIN, which number needs.'],
    ['{ ...F } fragment F on Query { ... { number } }', key('READ'), 'lacks the scope ADMIN'],
    ['{ me number @skip(if: true) }', key('READ'), 'lacks the scope ADMIN'],
    ['{ __schema { queryType { name } } }', key('WRITE'), 'lacks the scope READ'],
    ['mutation { login { user } }', key('READ', 'WRITE', 'ADMIN'), 'login is for people'],
    ['{ me }', key(), 'lacks the scope READ'],
  ];
  const send = (url: string, query: string, viewer: Viewer) => {
    const body = JSON.stringify({ query, ...(query.includes('Mine') ? { operationName: 'Mine' } : {}) });
    return post(url, body, { 'taskflow-context': signContext(ring, claimsOf(viewer), body) });
  };

  it.each(allowed)('does what its scopes cover: %s', async (query, viewer) => {
    const { service } = await startThing({ neededScope });
    const answer = await send(service.url, query, viewer);
    expect([answer.status, answer.body.errors]).toEqual([200, undefined]);
  });

  it.each(refused)('is refused the rest before any resolver runs: %s', async (query, viewer, message) => {
    const { service, counts } = await startThing({ neededScope });
    const answer = await send(service.url, query, viewer);
    expect([answer.status, codeOf(answer), counts.resolved]).toEqual([403, 'FORBIDDEN', 0]);
    expect(answer.body.errors?.[0]?.message).toContain(message);
  });

  it('reads, and changes nothing, where a service says nothing about keys', async () => {
    const { service } = await startThing();
    const all = key('READ', 'WRITE', 'ADMIN');
    expect((await send(service.url, '{ me }', all)).status).toBe(200);
    expect((await send(service.url, 'mutation { other }', all)).status).toBe(403);
  });
});

describe('a call without a valid signed context', () => {
  const queries = [
    '{ me }',
    '{ _service { sdl } }',
    '{ _entities(representations: [{ __typename: "Thing", id: "1" }]) { __typename } }',
    '{ __schema { queryType { name } } }',
    'mutation { login { user } }',
    'not graphql',
  ];
  const body = JSON.stringify({ query: '{ me }' });
  const header = (claims = claimsOf(ada), keys = ring, bytes = body, now = Date.now()) => ({
    'taskflow-context': signContext(keys, claims, bytes, now),
  });

  it.each(queries)('is answered 401 before anything is parsed: %s', async (query) => {
    const { service, counts } = await startThing();
    const answer = await post(service.url, JSON.stringify({ query }));
    expect([answer.status, codeOf(answer)]).toEqual([401, 'UNAUTHENTICATED']);
    expect(counts.resolved).toBe(0);
  });

  it('is answered alike when it is forged, expired, for another subgraph or over other bytes', async () => {
    const { service, counts } = await startThing();
    const answers = [
      await post(service.url, body, header(claimsOf(ada), otherRing)),
      await post(service.url, body, header(claimsOf(ada), ring, body, Date.now() - 120_000)),
      await post(service.url, body, header({ ...claimsOf(ada), audience: 'task' })),
      await post(service.url, body, header(claimsOf(ada), ring, `${body} `)),
      await post(service.url, body, { 'taskflow-context': 'v1.k1.e30.e30' }),
      await post(service.url, '{', {}),
    ];
    const told = answers.map((answer) => JSON.stringify([answer.status, answer.body]));
    expect(new Set(told).size).toBe(1);
    expect([answers[0]?.status, counts.resolved]).toEqual([401, 0]);
  });

  it('is refused in process too', async () => {
    const { service, counts } = await startThing();
    const bytes = Buffer.from(body);
    expect((await service.call({ context: undefined, body: bytes })).status).toBe(401);
    const { status, answer } = await service.call({ context: header()['taskflow-context'], body: bytes });
    expect([status, answer.data?.me, counts.resolved]).toEqual([200, 'ada', 1]);
  });
});

describe('a signed call', () => {
  it('runs as its viewer', async () => {
    const { service } = await startThing();
    expect((await ask(service.url, '{ me }')).body.data).toEqual({ me: 'ada' });
  });

  it.each([
    ['not json', 400, 'BAD_REQUEST'],
    ['[]', 400, 'BAD_REQUEST'],
    ['{"query":"{"}', 400, 'GRAPHQL_PARSE_FAILED'],
    ['{"query":"{ nothing }"}', 400, 'GRAPHQL_VALIDATION_FAILED'],
    ['{"query":"query($n: Int) { number(n: $n) }","variables":{"n":"x"}}', 400, 'BAD_USER_INPUT'],
  ])('with the body %s is answered %i %s', async (body, status, code) => {
    const { service } = await startThing();
    const answer = await post(service.url, body, {
      'taskflow-context': signContext(ring, claimsOf(ada), body),
    });
    expect([answer.status, codeOf(answer)]).toEqual([status, code]);
  });

  it('learns the code of an expected refusal and nothing of a bug', async () => {
    const { service } = await startThing();
    expect((await ask(service.url, '{ refused }')).body.errors?.[0]?.extensions).toEqual({
      code: 'RATE_LIMITED',
      retryable: true,
      retryAfterMs: 9,
      requestId: 'req-1',
    });
    const bug = await ask(service.url, '{ broken }');
    expect(bug.body.errors?.[0]?.extensions).toEqual({ code: 'INTERNAL_SERVER_ERROR', requestId: 'req-1' });
    expect(JSON.stringify(bug.body)).not.toMatch(/secrets|10\.0\.0\.1|stack/);
  });

  it('leaves one line with who, what, how long and how it ended', async () => {
    const { service } = await startThing();
    logLines.length = 0;
    await ask(service.url, 'query Broken { broken }');
    const line = logLines.map((text) => JSON.parse(text)).find(({ msg }) => msg === 'request');
    expect(line).toMatchObject({ requestId: 'req-1', orgId: 'org-a', userId: 'ada', status: 200 });
    expect(line).toMatchObject({ codes: ['INTERNAL_SERVER_ERROR'], durationMs: expect.any(Number) });
  });

  it('larger than the limit is answered 413', async () => {
    const { service, counts } = await startThing();
    const answer = await ask(service.url, `{ me } # ${'x'.repeat(2 * 1024 * 1024)}`).catch(() => null);
    expect([undefined, 413]).toContain(answer?.status);
    expect(counts.resolved).toBe(0);
  });
});

describe('an anonymous context', () => {
  it('may select the open fields only, through aliases and fragments as well', async () => {
    const { service, counts } = await startThing();
    for (const query of [
      '{ me }',
      'mutation { other }',
      'mutation { login { user } login2: other }',
      'mutation { ...F } fragment F on Mutation { other }',
      'mutation { ... on Mutation { login: other } }',
      '{ _service { sdl } }',
      '{ __schema { queryType { name } } }',
    ]) {
      const answer = await ask(service.url, query, null);
      expect([query, answer.status, codeOf(answer)]).toEqual([query, 401, 'UNAUTHENTICATED']);
    }
    expect(counts.resolved).toBe(0);
  });

  it('goes on as the viewer that a credential mutation establishes, and tells the router', async () => {
    const { service } = await startThing();
    const answer = await ask(service.url, 'mutation { login { user } }', null);
    expect(answer.body.data).toEqual({ login: { user: 'ada for ada' } });
    expect(verifyEstablished(ring, answer.headers.get('taskflow-established') ?? '').viewer).toEqual(ada);
    expect((await ask(service.url, '{ me }')).headers.get('taskflow-established')).toBeNull();
  });
});

describe('the switch for unsigned calls', () => {
  it('lets a tool on loopback ask for the schema and entities, and for nothing of a tenant', async () => {
    const { service } = await startThing({ allowUnsigned: true });
    const sdl = await post(service.url, JSON.stringify({ query: '{ _service { sdl } }' }));
    expect(sdl.body.data).toMatchObject({ _service: { sdl: expect.stringContaining('type Thing') } });
    const refused = await post(service.url, JSON.stringify({ query: '{ me }' }));
    expect(codeOf(refused)).toBe('UNAUTHENTICATED');
  });

  it('does not open the door to a proxy, a web page or a bad signature', async () => {
    const { service } = await startThing({ allowUnsigned: true });
    const body = JSON.stringify({ query: '{ _service { sdl } }' });
    for (const headers of [
      { 'x-forwarded-for': '127.0.0.1' },
      { origin: 'https://evil.example' },
      { 'taskflow-context': 'v1.k1.e30.e30' },
    ]) {
      expect((await post(service.url, body, headers as Record<string, string>)).status).toBe(401);
    }
  });
});

describe('health', () => {
  it('names the part that is down, and is live all the same', async () => {
    const down = () => Promise.reject(new Error('10.0.0.1'));
    const { service } = await startThing({ probes: { postgres: down, redis: async () => {} } });
    const get = (path: string) => fetch(`${service.url}${path}`);
    expect((await get('/health/live')).status).toBe(200);
    const ready = await get('/health/ready');
    expect([ready.status, await ready.json()]).toEqual([503, { ready: false, reasons: ['postgres'] }]);
    const health = await get('/health');
    expect(health.status).toBe(200);
    expect(await health.json()).toMatchObject({
      status: 'unhealthy',
      parts: { postgres: { status: 'down', latencyMs: expect.any(Number) }, redis: { status: 'up' } },
    });
  });

  it('and the public documents need no context, nothing else is there', async () => {
    const { service } = await startThing({
      routes: {
        '/.well-known/jwks.json': () => ({ body: { keys: [] }, headers: { 'cache-control': 'max-age=60' } }),
      },
    });
    const jwks = await fetch(`${service.url}/.well-known/jwks.json`);
    expect([await jwks.json(), jwks.headers.get('cache-control')]).toEqual([{ keys: [] }, 'max-age=60']);
    expect((await fetch(`${service.url}/constructor`)).status).toBe(404);
    expect((await fetch(`${service.url}/graphql`)).status).toBe(405);
  });
});

describe('stopping', () => {
  it('while busy finishes the request in flight, refuses new ones, then runs its steps in order', async () => {
    const { service, counts, slow, entered } = await startThing();
    const inFlight = ask(service.url, '{ slow }');
    await entered.promise;
    const stopped = service.stop();
    await expect(fetch(`${service.url}/health/live`)).rejects.toThrow();
    expect(counts.steps).toEqual([]);
    slow.resolve('finished');
    const answer = await inFlight;
    expect([answer.body.data, answer.headers.get('connection')]).toEqual([{ slow: 'finished' }, 'close']);
    await stopped;
    expect(counts.steps).toEqual(['consumers', 'pools']);
    await service.stop();
    expect(counts.steps).toHaveLength(2);
  });

  it('turns readiness to 503 first and keeps answering until the balancer has noticed', async () => {
    const { service, slow, entered } = await startThing({ drainDelayMs: 400 });
    const inFlight = ask(service.url, '{ slow }');
    await entered.promise;
    const stopped = service.stop();
    const ready = await fetch(`${service.url}/health/ready`);
    expect([ready.status, await ready.json()]).toEqual([503, { ready: false, reasons: ['stopping'] }]);
    expect((await ask(service.url, '{ me }')).body.data).toEqual({ me: 'ada' });
    slow.resolve('finished');
    expect((await inFlight).status).toBe(200);
    await stopped;
  });

  it('is not held up by a step that fails', async () => {
    const steps: string[] = [];
    const { service } = await startThing({
      onStop: [() => Promise.reject(new Error('pool')), () => steps.push('next')],
    });
    await service.stop();
    expect(steps).toEqual(['next']);
  });

  it('is not held up by an idle connection', async () => {
    const { service } = await startThing();
    const { port } = new URL(service.url);
    const idle = httpRequest({ port, path: '/health/live', headers: { connection: 'keep-alive' } });
    await new Promise((resolve) => idle.on('response', (r) => r.resume().once('end', resolve)).end());
    const startedAt = performance.now();
    await service.stop();
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });
});

describe('starting', () => {
  it('twice in one process works, also one after the other', async () => {
    const [one, two] = [await startThing(), await startThing()];
    expect(one.service.url).not.toBe(two.service.url);
    await one.service.stop();
    await one.service.start();
    expect((await ask(one.service.url, '{ me }')).body.data).toEqual({ me: 'ada' });
    await one.service.stop();
    expect(one.counts.steps).toHaveLength(4);
  });

  it('on a taken port gives one clear error', async () => {
    const squatter = createServer();
    await new Promise<void>((resolve) => squatter.listen(0, '127.0.0.1', resolve));
    const { port } = squatter.address() as AddressInfo;
    const { service } = createThing({ port });
    await expect(service.start()).rejects.toThrow(
      `port ${port} on 127.0.0.1 is already in use: stop the other process or set THING_PORT`,
    );
    await service.stop();
    squatter.close();
  });

  it('refuses a resolver that the schema does not know', () => {
    expect(() => createThing({ resolvers: { Query: { mee: () => 1 } } })).toThrow('Query.mee');
    expect(() => createThing({ resolvers: { Thingy: {} } })).toThrow('Thingy');
  });
});
