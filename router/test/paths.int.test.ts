/**
 * Two ways to the same answer: plain POST requests go through the stages alone, everything else (and everything, where
 * plugins were handed in) through Apollo Server.
 */
import type { ApolloServerPlugin } from '@apollo/server';
import { GraphQLError, getIntrospectionQuery } from 'graphql';
import { beforeEach, describe, expect, it } from 'vitest';
import type { StandardContext } from '../src/apollo-server.ts';
import { hashOf } from '../src/gateway/persisted-documents.ts';
import type { Router } from '../src/server.ts';
import { aRouter, aSupergraph, aViewer, codesOf, send, type TestSupergraph } from './fixture.ts';

let supergraph: TestSupergraph;
let hot: Router;
let standard: Router;
let token: string;
let seen: string[];

const watching: ApolloServerPlugin<StandardContext> = {
  async requestDidStart() {
    seen.push('started');
    return {
      async didEncounterErrors({ errors }) {
        seen.push(...errors.map(({ message }) => message));
      },
      async willSendResponse() {
        seen.push('sent');
      },
    };
  },
};

beforeEach(async () => {
  seen = [];
  supergraph = await aSupergraph();
  hot = await aRouter(supergraph);
  standard = await aRouter(supergraph, undefined, { plugins: [watching] });
  token = supergraph.tokenFor(aViewer({ userId: 'grace' }));
});

const json = { 'content-type': 'application/json' };
const body = (value: unknown, headers: Record<string, string> = {}) => ({
  headers: { ...json, ...headers },
  body: JSON.stringify(value),
});
const TASKS = 'query Tasks($n: Int!) { tasks(count: $n) { id title assignee { id openTaskCount } } }';
const HASH = { persistedQuery: { version: 1, sha256Hash: hashOf('{ health }') } };

const requests: [string, { headers: Record<string, string>; body: string }][] = [
  ['a query', body({ query: '{ me { id name } health }' })],
  ['a query with variables over two subgraphs', body({ query: TASKS, variables: { n: 3 } })],
  [
    'a named one of two operations',
    body({ query: 'query A { health } query B { me { id } }', operationName: 'B' }),
  ],
  [
    'aliases, fragments and directives',
    body({
      query: 'query($on: Boolean!) { a: health ...F @include(if: $on) } fragment F on Query { b: health }',
      variables: { on: true },
    }),
  ],
  ['a mutation', body({ query: 'mutation { rename(name: "x") }' })],
  ['introspection', body({ query: getIntrospectionQuery() })],
  ['__typename alone', body({ query: '{ __typename }' })],
  [
    'members that are null',
    body({ query: '{ health }', variables: null, operationName: null, extensions: null }),
  ],
  ['members that nobody knows', body({ query: '{ health }', id: 7 })],
  ['an error of a subgraph beside data', body({ query: '{ health broken }' })],
  ['a coded error of a subgraph', body({ query: '{ health task { id } }' })],
  ['a null where none may be', body({ query: '{ strict { never } }' })],
  ['a call that takes too long', body({ query: '{ health slow(ms: 700) }' })],
  [
    'a field for viewers, asked for anonymously',
    { ...body({ query: '{ me { id } }' }), headers: { ...json, authorization: '' } },
  ],
  ['a token that is none', body({ query: '{ health }' }, { authorization: 'Bearer x' })],
  ['a syntax error', body({ query: '{ health ' })],
  ['a query of spaces', body({ query: '   ' })],
  ['an unknown field', body({ query: '{ nothing taskz }' })],
  ['an unknown operation', body({ query: 'query A { health }', operationName: 'B' })],
  ['two operations without a name', body({ query: 'query A { health } query B { health }' })],
  ['a missing variable', body({ query: TASKS })],
  ['a variable of another type', body({ query: TASKS, variables: { n: 'x' } })],
  ['isOneOf, which cannot be planned', body({ query: '{ __schema { types { isOneOf } } }' })],
  ['too many root fields', body({ query: `{ ${'health '.repeat(21)} }` })],
  ['too many tokens', body({ query: `{ ${'health '.repeat(999)} }` })],
  ['a reserved name', body({ query: '{ __proto__: health }' })],
  ['a subscription', body({ query: 'subscription { ticks }' })],
  [
    'a subscription that depends on a variable',
    body({ query: 'subscription($on: Boolean!) { ticks @include(if: $on) }', variables: { on: true } }),
  ],
  ['a hash that is not known', body({ extensions: HASH })],
  ['a hash with its text', body({ query: '{ health }', extensions: HASH })],
  ['a hash of another text', body({ query: '{ me { id } }', extensions: HASH })],
  ['a hash of another version', body({ extensions: { persistedQuery: { version: 2, sha256Hash: 'x' } } })],
  ['no query', body({})],
  ['an empty query', body({ query: '' })],
  ['a query that is no string', body({ query: 7 })],
  ['variables that are no object', body({ query: '{ health }', variables: [1] })],
  ['extensions as text', body({ query: '{ health }', extensions: '{}' })],
  ['an operation name that is no string', body({ query: '{ health }', operationName: 1 })],
  ['a batch', body([{ query: '{ health }' }])],
  ['a string', body('{ health }')],
  ['no JSON', { headers: json, body: '{"query": ' }],
  ['UTF-7', body({ query: '{ health }' }, { 'content-type': 'application/json; charset=utf-7' })],
  ['JSON as text/plain', body({ query: '{ health }' }, { 'content-type': 'text/plain' })],
  [
    'an idempotency key that is too long',
    body({ query: '{ health }' }, { 'idempotency-key': 'k'.repeat(201) }),
  ],
  [
    'an Accept of the newer media type',
    body({ query: '{ health }' }, { accept: 'application/graphql-response+json' }),
  ],
  [
    'an Accept that prefers the newer media type',
    body({ query: '{ health }' }, { accept: 'application/graphql-response+json, application/json;q=0.9' }),
  ],
  [
    'an Accept that prefers the older media type',
    body({ query: '{ health }' }, { accept: 'application/json, application/graphql-response+json;q=0.5' }),
  ],
  [
    'an Accept that ranks by q against its order',
    body(
      { query: '{ health }' },
      { accept: 'application/json; q=0.5, application/graphql-response+json, */*;q=0.1' },
    ),
  ],
  ['an Accept of anything', body({ query: '{ health }' }, { accept: '*/*' })],
  ['an Accept of HTML alone', body({ query: '{ health }' }, { accept: 'text/html' })],
  ['a page of another origin', body({ query: '{ health }' }, { origin: 'https://evil.example' })],
  ['a page of an allowed origin', body({ query: '{ health }' }, { origin: 'http://localhost:3000' })],
];

/** All that a client can tell two answers apart by, but for the id of the request. */
async function answerOf(router: Router, { headers, body }: (typeof requests)[number][1]) {
  const authorization = `Bearer ${token}`;
  const answered = await send(router, { method: 'POST', headers: { authorization, ...headers }, body });
  const ignored = ['date', 'x-request-id', 'content-length', 'connection', 'keep-alive', 'ratelimit'];
  const requestId = answered.headers.get('x-request-id') ?? '';
  return {
    status: answered.status,
    headers: Object.fromEntries([...answered.headers].filter(([name]) => !ignored.includes(name))),
    text: answered.text.replaceAll(requestId, '<request id>'),
  };
}

type Change = NonNullable<Parameters<typeof aRouter>[1]>;

describe('the answer over both paths', () => {
  it('is the same, byte for byte, for whatever is sent', async () => {
    const quick: Change = (config) => ({ ...config, subgraphTimeoutMs: 500 });
    hot = await aRouter(supergraph, quick);
    standard = await aRouter(supergraph, quick, { plugins: [watching] });
    for (const [what, request] of requests) {
      const [one, other] = [await answerOf(hot, request), await answerOf(standard, request)];
      expect({ what, ...other }).toEqual({ what, ...one });
    }
  });

  it('is the same where the schema is hidden', async () => {
    const closed: Change = (config) => ({ ...config, introspection: false });
    hot = await aRouter(supergraph, closed);
    standard = await aRouter(supergraph, closed, { plugins: [watching] });
    for (const query of ['{ __schema { types { name } } }', '{ healthy }', '{ tasks(cuont: 1) { id } }']) {
      expect(await answerOf(standard, body({ query }))).toEqual(await answerOf(hot, body({ query })));
    }
  });
});

describe('the standard path', () => {
  it('shows every request to the plugins that were handed in, and none goes past them', async () => {
    await answerOf(standard, body({ query: '{ health }' }));
    expect(seen).toEqual(['started', 'sent']);
    await answerOf(standard, body({ query: '{ nothing }' }));
    expect(seen.slice(2)).toEqual(['started', 'Cannot query field "nothing" on type "Query".', 'sent']);
    seen.length = 0;
    await answerOf(hot, body({ query: '{ health }' }));
    expect(seen).toEqual([]);
  });

  it('shows plugins what really happened, and the client what it may read', async () => {
    const { text } = await answerOf(standard, body({ query: '{ broken }' }));
    expect(seen.join()).toMatch(/went wrong|select/);
    expect(text).not.toMatch(/select|10\.0\.0\.7/);
  });

  it('lets a plugin refuse an operation with a public code and a status, and masks any other of its errors', async () => {
    const refusing = (error: GraphQLError): ApolloServerPlugin<StandardContext> => ({
      requestDidStart: async () => ({
        async didResolveOperation() {
          throw error;
        },
      }),
    });
    const answerWith = async (error: GraphQLError) =>
      send(await aRouter(supergraph, undefined, { plugins: [refusing(error)] }), {
        method: 'POST',
        ...body({ query: '{ health }' }),
      });
    const extensions = { code: 'FORBIDDEN', http: { status: 403 } };
    const refused = await answerWith(new GraphQLError('Not on Sundays.', { extensions }));
    expect([refused.status, codesOf(refused), refused.body.errors[0].message]).toEqual([
      403,
      ['FORBIDDEN'],
      'Not on Sundays.',
    ]);
    const broken = await answerWith(new GraphQLError('connect ECONNREFUSED 10.0.0.7:5432'));
    expect([broken.status, codesOf(broken)]).toEqual([500, ['INTERNAL_SERVER_ERROR']]);
    expect(broken.text).not.toContain('10.0.0.7');
    expect(supergraph.calls).toEqual([]);
  });

  it('answers what the limits refuse before a plugin, or a parser, sees it', async () => {
    const answered = await answerOf(standard, body({ query: `{ ${'health '.repeat(999)} }` }));
    expect([answered.status, seen]).toEqual([400, []]);
  });

  it('authenticates, and counts requests, before anything else', async () => {
    const narrow = await aRouter(
      supergraph,
      (config) => ({
        ...config,
        admission: { viewer: { pointsPerS: 0.02, capacity: 1 }, address: { pointsPerS: 0.02, capacity: 1 } },
      }),
      { plugins: [watching] },
    );
    const statuses = [];
    for (let n = 0; n < 2; n++) statuses.push((await answerOf(narrow, body({ query: '{ health }' }))).status);
    expect([statuses, seen]).toEqual([
      [200, 429],
      ['started', 'sent'],
    ]);
  });

  it('ends an operation on a supergraph that was swapped in, with the schema that plugins are told of', async () => {
    const told: string[] = [];
    const router = await aRouter(supergraph, undefined, {
      plugins: [
        {
          serverWillStart: async () => ({
            schemaDidLoadOrUpdate: ({ apiSchema }) =>
              void told.push(String(apiSchema.getQueryType()?.getFields().health?.description)),
          }),
        },
      ],
    });
    const { readFile, writeFile } = await import('node:fs/promises');
    const sdl = await readFile(supergraph.file, 'utf8');
    await writeFile(supergraph.file, sdl.replace('  health: String', '  "How it is"\n  health: String'));
    expect(await router.supergraph.refresh()).toBe(true);
    expect(told).toEqual(['undefined', 'How it is']);
    const { text } = await answerOf(
      router,
      body({ query: '{ __type(name: "Query") { fields { description } } }' }),
    );
    expect(text).toContain('How it is');
  });
});
