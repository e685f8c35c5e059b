import { beforeEach, describe, expect, it } from 'vitest';
import { readRouterConfig } from '../src/config.ts';
import type { Router } from '../src/server.ts';
import { type Answered, send } from './fixture.ts';
import { aForeignRouter, aForeignSubgraph } from './foreign.ts';

const SHOP = `extend schema
  @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@composeDirective"])
  @link(url: "https://specs.example.com/cacheControl/v1.0", import: ["@cacheControl"])
  @composeDirective(name: "@cacheControl")
  directive @cacheControl(maxAge: Int, scope: CacheControlScope, inheritMaxAge: Boolean) on FIELD_DEFINITION | OBJECT | INTERFACE | UNION
  enum CacheControlScope { PUBLIC PRIVATE }
  type Query {
    products: [Product!]! @cacheControl(maxAge: 60)
    mine: String @cacheControl(maxAge: 60, scope: PRIVATE)
    now: String
    broken: String @cacheControl(maxAge: 60)
  }
  type Mutation { touch: String @cacheControl(maxAge: 60) }
  type Product { id: ID! price: Int @cacheControl(maxAge: 5) }`;

let router: Router;
let plugged: Router;

const aShop = () =>
  aForeignSubgraph('shop', SHOP, {
    Query: {
      products: () => [{ id: 'p1', price: 7 }],
      mine: () => 'x',
      now: () => 'now',
      broken: () => {
        throw new Error('broken');
      },
    },
    Mutation: { touch: () => 'touched' },
  });

beforeEach(async () => {
  const shop = await aShop();
  router = await aForeignRouter([shop]);
  plugged = await aForeignRouter([shop], { deps: { plugins: [{}] } });
});

const post = (query: string, headers: Record<string, string> = {}, to = router): Promise<Answered> =>
  send(to, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query }),
  });
const get = (query: string, headers: Record<string, string> = {}, to = router): Promise<Answered> =>
  send(
    to,
    { headers: { 'apollo-require-preflight': '1', ...headers } },
    `/graphql?${new URLSearchParams({ query })}`,
  );

describe('an answer to nobody in particular', () => {
  it('may be kept as long as the shortest hint of its fields says, over GET, POST and with plugins', async () => {
    for (const ask of [get, post, (query: string) => post(query, {}, plugged)]) {
      const { headers } = await ask('{ products { id } }');
      expect(headers.get('cache-control')).toBe('max-age=60, public');
      expect(headers.get('vary')).toBe('origin, authorization, cookie');
      expect((await ask('{ products { id price } }')).headers.get('cache-control')).toBe('max-age=5, public');
    }
  });

  it.each([
    ['a field without a hint', '{ products { id } now }'],
    ['a private field', '{ products { id } mine }'],
    ['an error', '{ products { id } broken }'],
    ['a mutation', 'mutation { touch }'],
    ['the schema', '{ __schema { queryType { name } } }'],
    ['an invalid operation', '{ nothing }'],
  ])('is stored by nobody with %s', async (_what, query) => {
    for (const to of [router, plugged])
      expect((await post(query, {}, to)).headers.get('cache-control')).toBe('no-store');
  });
});

it('an answer that may be kept says nothing of where the points of its caller stand, over either path', async () => {
  const { cost } = readRouterConfig({});
  const limited = await aForeignRouter([await aShop()], { change: (config) => ({ ...config, cost }) });
  for (const query of ['{ products { id } }', '{ products { id } now }']) {
    const isKept = !query.includes('now');
    for (const answer of [await post(query, {}, limited), await get(query, {}, limited)]) {
      expect(answer.headers.get('cache-control')?.includes('public')).toBe(isKept);
      expect(answer.headers.has('ratelimit')).toBe(!isKept);
      expect(answer.body.extensions).toEqual({ cost: { requested: 10, actual: 1, limit: 5_000 } });
    }
  }
});

it('an answer to somebody is stored by nobody, whatever the hints say', async () => {
  for (const headers of [{ authorization: 'Bearer x' }, { cookie: 'session=1' }] as Record<
    string,
    string
  >[]) {
    expect((await get('{ products { id } }', headers)).headers.get('cache-control')).toBe('no-store');
    expect((await post('{ products { id } }', headers)).headers.get('cache-control')).toBe('no-store');
  }
});
