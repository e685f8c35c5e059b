import { readFileSync } from 'node:fs';
import { openSocket } from '@taskflow/tests/kit/socket';
import { buildSchema, isEnumType, isInputObjectType, isInterfaceType, isObjectType } from 'graphql';
import { beforeEach, describe, expect, it } from 'vitest';
import { readRouterConfig } from '../src/config.ts';
import type { Router } from '../src/server.ts';
import { type Answered, aRouter, aSupergraph, aViewer, send } from './fixture.ts';

const NAMES = ['user', 'org', 'task', 'notification'];
const NOBODY = 'http://127.0.0.1:1/graphql';
const key = (name: string) => `k1:${name}-${'0123456789abcdef'.repeat(3)}`;
/** What a deployment has to say; everything else is the default of production. */
const PRODUCTION = readRouterConfig({
  TASKFLOW_MODE: 'production',
  REDIS_URL: 'redis://127.0.0.1:1',
  ...Object.fromEntries(
    NAMES.flatMap((name) => [
      [`${name.toUpperCase()}_CONTEXT_KEY`, key(name)],
      [`ROUTER_${name.toUpperCase()}_URL`, NOBODY],
    ]),
  ),
  ...{ ROUTER_JWKS_URL: NOBODY, USER_TOKEN_ISSUER: 'taskflow', USER_TOKEN_AUDIENCE: 'taskflow-api' },
});

let router: Router;
let token: string;
beforeEach(async () => {
  const supergraph = await aSupergraph();
  token = supergraph.tokenFor(aViewer());
  router = await aRouter(supergraph, ({ keyRings, tokens }) => ({
    ...{ ...PRODUCTION, keyRings, tokens, port: 0, redisUrl: null, supergraphPollMs: 0 },
    ...{ supergraphFile: 'schema/supergraph.graphql' },
    subgraphUrls: Object.fromEntries(NAMES.map((name) => [name, NOBODY])),
  }));
});

const ask = (query: string, more: object = {}, headers: Record<string, string> = {}): Promise<Answered> =>
  send(router, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query, ...more }),
  });
const get = (path: string, headers: Record<string, string> = {}) => send(router, { headers }, path);
const messagesOf = ({ body }: Answered): string[] =>
  body.errors.map(({ message }: { message: string }) => message);

const TASKS = 'query ($f: TaskFilter) { tasks(filter: $f) { nodes { id } } }';
/** Mistakes of every kind, and what is said of each. */
const MISTAKES: readonly [query: string, message: string, variables?: object][] = [
  ['{ viewr { id } }', 'Cannot query field "viewr".'],
  ['{ viewer { nam } }', 'Cannot query field "nam".'],
  ['{ tasks(firs: 1) { nodes { id } } }', 'Unknown argument "firs" on field "tasks".'],
  ['{ viewer { ... on Usr { id } } }', 'Unknown type "Usr".'],
  ['{ viewer { ... on Task { id } } }', 'Fragment cannot be spread here as objects'],
  [
    '{ tasks(orderBy: [{ field: CREATED }]) { nodes { id } } }',
    'Value "CREATED" does not exist in the enum.',
  ],
  ['query ($f: TaskFiltr) { tasks(filter: $f) { nodes { id } } }', 'Unknown type "TaskFiltr".'],
  ['query ($f: Int) { tasks(filter: $f) { nodes { id } } }', 'Variable "$f" does not fit where it is used.'],
  ['mutation { login(input: { emial: "x" }) { success } }', 'A required field was not provided.'],
  ['mutation { login(input: {}) { success } }', 'A required field was not provided.'],
  ['mutation { login { success } }', 'Field "login" is missing a required argument.'],
  ['mutation { login(input: 1) { success } }', 'Expected another type'],
  ['{ viewer @includ(if: true) { id } }', 'Unknown directive "@includ".'],
  ['{ viewer @include { id } }', 'Directive "@include" is missing a required argument.'],
  ['{ tasks }', 'Field "tasks" must have a selection of subfields.'],
  ['{ viewer { name { x } } }', 'Field "name" must not have a selection.'],
  ['{ tasks(first: "x") { nodes { id } } }', 'Int cannot represent non-integer value: "x"'],
  [TASKS, 'Field "statu" is not defined.', { f: { statu: { eq: 'TODO' } } }],
  [TASKS, 'Value "TOD" does not exist in the enum.', { f: { status: { eq: 'TOD' } } }],
  [TASKS, 'Expected another type', { f: { status: 'TODO' } }],
  [
    'mutation ($i: LoginInput!) { login(input: $i) { success } }',
    'A required field was not provided.',
    { i: {} },
  ],
  ['mutation ($i: LoginInput!) { login(input: $i) { success } }', 'Variable "$i" was not provided.'],
  ['{ __schema { types { name } } }', 'GraphQL introspection has been disabled'],
  ['{ __type(name: "Task") { isOneOf fields { name } } }', 'GraphQL introspection has been disabled'],
  ['{ viewer { __typename } __schema { __typename } }', 'GraphQL introspection has been disabled'],
];

/** Names that no English sentence has: those of types, and those with a capital within. */
function namesOf(text: string): Set<string> {
  return new Set(text.match(/\b[A-Za-z_]*[a-z][A-Z][A-Za-z]*\b|\b[A-Z]+_[A-Z_]+\b/g));
}

function schemaNames(): Set<string> {
  const schema = buildSchema(readFileSync('schema/api.graphql', 'utf8'), { assumeValidSDL: true });
  const names = Object.values(schema.getTypeMap()).flatMap((type) => {
    if (type.name.startsWith('__')) return [];
    if (isEnumType(type)) return [type.name, ...type.getValues().map(({ name }) => name)];
    const hasFields = isObjectType(type) || isInterfaceType(type) || isInputObjectType(type);
    return [type.name, ...(hasFields ? Object.keys(type.getFields()) : [])];
  });
  return new Set(names);
}

describe('a router in production tells a stranger', () => {
  it('what is wrong with an operation, and no name of the schema that was not in it', async () => {
    const known = schemaNames();
    for (const [query, message, variables] of MISTAKES) {
      const posted = await ask(query, { variables });
      const search = new URLSearchParams({
        query,
        ...(variables ? { variables: JSON.stringify(variables) } : {}),
      });
      const got = await get(`/graphql?${search}`, { 'apollo-require-preflight': '1' });
      for (const answer of query.startsWith('mutation') ? [posted] : [posted, got]) {
        expect(answer.status).toBe(400);
        expect(messagesOf(answer).join('\n'), query).toContain(message);
        const told = messagesOf(answer).join('\n');
        const asked = namesOf(query + JSON.stringify(variables));
        expect(told).not.toContain('Did you mean');
        expect(
          [...namesOf(told)].filter((name) => known.has(name) && !asked.has(name)),
          query,
        ).toEqual([]);
      }
    }
  });

  it('over a socket no more', async () => {
    const socket = await openSocket(`${router.url}/graphql`, token);
    for (const [query, message] of [MISTAKES[1], MISTAKES[10], MISTAKES[22]] as typeof MISTAKES) {
      const { payload } = await socket.subscribe(query).frame();
      expect(payload[0].message).toContain(message);
    }
  });

  it('whether it is well, and not of what it is made', async () => {
    const answers = [];
    for (const path of ['/health/live', '/health', '/health/ready']) {
      const { status, text } = await get(path);
      answers.push([path, status, text]);
    }
    expect(answers).toEqual([
      ['/health/live', 200, '{"status":"live"}'],
      ['/health', 200, '{"status":"unhealthy"}'],
      ['/health/ready', 503, '{"ready":false}'],
    ]);
  });

  it('nothing on any page: no landing page, no files, no keys', async () => {
    const html = { accept: 'text/html,*/*' };
    for (const path of [
      '/',
      '/favicon.ico',
      '/metrics',
      '/graphiql',
      '/.well-known/jwks.json',
      '/.env',
      '/%00',
      '/graphql/..',
      '//',
    ]) {
      const { status, text } = await get(path, html);
      expect([path, status]).toEqual([path, 404]);
      expect(text).toBe(
        '{"errors":[{"message":"There is nothing here: GraphQL is at /graphql.","extensions":{"code":"NOT_FOUND"}}]}',
      );
    }
    const { status, headers, text } = await get('/graphql', html);
    expect([status, headers.get('content-type')]).toEqual([400, 'application/json; charset=utf-8']);
    expect(text).not.toMatch(/<|sandbox|studio/i);
  });

  it('in headers what every answer has, and of no product or version', async () => {
    const ordinary = [
      'cache-control',
      'connection',
      'content-length',
      'content-type',
      'date',
      'keep-alive',
      'vary',
      'x-request-id',
    ];
    const allowed = new Set([
      ...ordinary,
      'ratelimit',
      'ratelimit-policy',
      'transfer-encoding',
      'www-authenticate',
    ]);
    const answers = [
      ...[await ask('{ viewer { id } }'), await ask('{ nonsense }'), await ask('{')],
      ...[
        await ask('{ viewer { id } }', {}, { authorization: 'Bearer x' }),
        await get('/'),
        await get('/health'),
      ],
      await ask('{ viewer { id } }', {}, { origin: 'https://evil.test', authorization: `Bearer ${token}` }),
    ];
    const hardening =
      /^(x-content-type-options|x-frame-options|content-security-policy|referrer-policy|strict-transport-security|cross-origin-.*|x-robots-tag|permissions-policy|x-dns-prefetch-control|x-download-options|x-permitted-cross-domain-policies|x-xss-protection|origin-agent-cluster)$/;
    for (const { headers } of answers) {
      expect([...headers.keys()].filter((name) => !allowed.has(name) && !hardening.test(name))).toEqual([]);
    }
  });

  it('no plan, whatever it asks for', async () => {
    const wishes: [object, Record<string, string>][] = [
      [{ extensions: { explain: true } }, {}],
      [{}, { 'taskflow-explain': 'true', 'apollo-query-plan-experimental': '1' }],
    ];
    for (const [more, headers] of wishes) {
      const { body } = await ask('{ viewer { id } }', more, { authorization: `Bearer ${token}`, ...headers });
      expect(Object.keys(body.extensions)).toEqual(['cost']);
    }
  });
});
