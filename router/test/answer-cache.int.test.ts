import { describe, expect, it } from 'vitest';
import { until } from '../../tests/kit/until.ts';
import type { Router } from '../src/server.ts';
import { ask } from './fixture.ts';
import { aForeignRouter, aForeignSubgraph } from './foreign.ts';

const HINTS = `@link(url: "https://specs.example.com/cacheControl/v1.0", import: ["@cacheControl"]) @composeDirective(name: "@cacheControl")
  enum CacheControlScope { PUBLIC PRIVATE }
  directive @cacheControl(maxAge: Int, scope: CacheControlScope, inheritMaxAge: Boolean) on FIELD_DEFINITION | OBJECT | INTERFACE | UNION`;
const LINK =
  'extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@composeDirective"])';

const SHELVES = `${LINK}
  type Query { shelf(ids: [ID!]!): [Book!]!  again(ids: [ID!]!): [Book!]! }
  type Book @key(fields: "id") { id: ID! }`;
const REVIEWS = `${LINK} ${HINTS}
  type Query { best(of: Int!): Best @cacheControl(maxAge: 60)  now: Int  brief: Int @cacheControl(maxAge: 1)  none: Int @cacheControl(maxAge: 60) }
  type Mutation { rate(stars: Int!): Int }
  type Best { title: String  stars: Int  author: Author }
  type Author { name: String }
  type Book @key(fields: "id") { id: ID!  stars: Int @cacheControl(maxAge: 60)  title: String @cacheControl(maxAge: 60)  sold: Int
    broken: Int @cacheControl(maxAge: 60)  missing: Int @cacheControl(maxAge: 60) }`;

async function aShop(env: NodeJS.ProcessEnv = {}) {
  const state = { stars: 1, now: 0, isBroken: true, held: Promise.resolve() };
  const books = (_: unknown, { ids }: { ids: string[] }) => ids.map((id) => ({ id }));
  const shelves = await aForeignSubgraph('shelves', SHELVES, { Query: { shelf: books, again: books } });
  const reviews = await aForeignSubgraph('reviews', REVIEWS, {
    Query: {
      best: (_: unknown, { of }: { of: number }) => ({
        title: `best of ${of}`,
        stars: state.stars,
        author: { name: 'Jane' },
      }),
      now: () => ++state.now,
      brief: () => ++state.now,
      none: () => null,
    },
    Mutation: {
      rate: (_: unknown, { stars }: { stars: number }) => {
        state.stars = stars;
        return stars;
      },
    },
    Book: {
      __resolveReference: async ({ id }: { id: string }) => {
        await state.held;
        return id.startsWith('absent') ? null : { id, title: `title of ${id}` };
      },
      stars: () => state.stars,
      sold: () => ++state.now,
      broken: () => {
        if (state.isBroken) throw new Error('broken');
        return 1;
      },
    },
  });
  const router = await aForeignRouter([shelves, reviews], { env });
  /** Ids of the books that `reviews` was asked for, call by call. */
  const asked = () =>
    reviews.calls.splice(0).map(({ variables }) => {
      const lists = Object.values(variables).filter((value) => Array.isArray(value)) as { id: string }[][];
      return lists.flat().map(({ id }) => id);
    });
  return { router, reviews, state, asked };
}

const dataOf = async (router: Router, query: string, variables: object = {}) =>
  (await ask(router, query, { variables })).body;

async function statsOf(router: Router) {
  // biome-ignore lint/suspicious/noExplicitAny: a test reads into a report that it knows
  return ((await (await fetch(`${router.url}/health`)).json()) as any).cache;
}

const BOOKS = 'query ($ids: [ID!]!) { shelf(ids: $ids) { id stars title } }';

describe('entities with hints', () => {
  it('are asked for once; later only those that are missing, and the answers are the same bytes', async () => {
    const { router, asked } = await aShop();
    const first = await ask(router, BOOKS, { variables: { ids: ['a', 'b'] } });
    expect(asked()).toEqual([['a', 'b']]);
    expect((await ask(router, BOOKS, { variables: { ids: ['a', 'b'] } })).text).toBe(first.text);
    expect(asked()).toEqual([]);
    const mixed = await dataOf(router, BOOKS, { ids: ['c', 'a', 'absent', 'b', 'd'] });
    expect(asked()).toEqual([['c', 'absent', 'd']]);
    expect(mixed.data.shelf.map(({ title }: { title: string }) => title)).toEqual([
      ...['title of c', 'title of a', null, 'title of b', 'title of d'],
    ]);
    // Not there is not kept, and what is selected is part of the key.
    await dataOf(router, BOOKS, { ids: ['a', 'absent'] });
    await dataOf(router, '{ shelf(ids: ["a"]) { stars } }');
    expect(asked()).toEqual([['absent'], ['a']]);
    expect(await statsOf(router)).toMatchObject({ hits: 5, entries: 5, redis: null });
  });

  it('are found in a request with aliases as well, each in its place', async () => {
    const { router, asked } = await aShop();
    await dataOf(router, BOOKS, { ids: ['a'] });
    const text = '{ x: shelf(ids: ["b", "a"]) { stars title } y: again(ids: ["a", "c"]) { title stars } }';
    const { data } = await dataOf(router, text);
    const titles = (books: { title: string }[]) => books.map(({ title }) => title);
    expect([titles(data.x), titles(data.y)]).toEqual([
      ['title of b', 'title of a'],
      ['title of a', 'title of c'],
    ]);
    asked();
    expect((await dataOf(router, text)).data).toEqual(data);
    expect(asked()).toEqual([]);
  });

  it('are never kept beside a field without a hint, nor from an answer with errors', async () => {
    const { router, asked, state } = await aShop();
    for (let n = 0; n < 2; n++) await dataOf(router, '{ shelf(ids: ["a"]) { stars sold } }');
    expect(asked()).toEqual([['a'], ['a']]);
    await dataOf(router, BOOKS, { ids: ['b'] });
    asked();
    const query = '{ shelf(ids: ["a", "b"]) { id broken title } }';
    const { data, errors } = await dataOf(router, query);
    expect([data.shelf, errors.map(({ path }: { path: string[] }) => path)]).toEqual([
      [
        { id: 'a', broken: null, title: 'title of a' },
        { id: 'b', broken: null, title: 'title of b' },
      ],
      [
        ['shelf', 0, 'broken'],
        ['shelf', 1, 'broken'],
      ],
    ]);
    state.isBroken = false;
    expect((await dataOf(router, '{ shelf(ids: ["b"]) { id broken title } }')).data.shelf[0].broken).toBe(1);
    state.isBroken = true;
    // One of two is found: the path of the other's error is that of the client's list.
    const half = await dataOf(router, '{ shelf(ids: ["b", "a"]) { id broken title } }');
    expect(half.errors.map(({ path }: { path: string[] }) => path)).toEqual([['shelf', 1, 'broken']]);
  });

  it('are asked for by one of many who want them at the same time', async () => {
    const { router, asked, state } = await aShop();
    const { promise, resolve } = Promise.withResolvers<void>();
    state.held = promise;
    const answers = Promise.all(
      Array.from({ length: 20 }, (_unused, n) =>
        dataOf(router, `query Q${n} { shelf(ids: ["a"]) { stars title } }`),
      ),
    );
    await until('the first to ask', async () => (await statsOf(router)).misses > 0);
    setTimeout(resolve, 50);
    expect(new Set((await answers).map(({ data }) => JSON.stringify(data)))).toEqual(
      new Set(['{"shelf":[{"stars":1,"title":"title of a"}]}']),
    );
    expect(asked()).toEqual([['a']]);
  });
});

describe('root fields with hints', () => {
  it('are kept by their arguments, as long as the hint says, and not when they are null or have none', async () => {
    const { router, reviews } = await aShop();
    const calls = async (query: string) => {
      reviews.calls.length = 0;
      for (let n = 0; n < 2; n++) await dataOf(router, query);
      return reviews.calls.length;
    };
    expect(await calls('{ best(of: 1) { title stars } }')).toBe(1);
    expect(await calls('{ best(of: 2) { title stars } }')).toBe(1);
    expect(await calls('{ best(of: 1) { title author { name } } }')).toBe(2);
    expect(await calls('{ now }')).toBe(2);
    expect(await calls('{ none }')).toBe(2);
    expect(await calls('{ brief }')).toBe(1);
    const { brief } = (await dataOf(router, '{ brief }')).data;
    await until(
      'its second to be over',
      async () => (await dataOf(router, '{ brief }')).data.brief !== brief,
    );
  });

  it('are asked again by whoever has seen a mutation through this router', async () => {
    const { router } = await aShop();
    const read = async () =>
      (await dataOf(router, '{ best(of: 1) { stars } shelf(ids: ["a"]) { stars } }')).data;
    expect(await read()).toEqual({ best: { stars: 1 }, shelf: [{ stars: 1 }] });
    for (let stars = 2; stars < 5; stars++) {
      expect((await dataOf(router, `mutation { rate(stars: ${stars}) }`)).data).toEqual({ rate: stars });
      expect(await read()).toEqual({ best: { stars }, shelf: [{ stars }] });
    }
  });
});

describe('what is kept', () => {
  it('stays within its bytes', async () => {
    const { router } = await aShop({ ROUTER_CACHE_BYTES_MAX: '100000' });
    const ids = Array.from({ length: 2_000 }, (_unused, n) => `book ${n}`);
    for (let at = 0; at < ids.length; at += 200)
      await dataOf(router, BOOKS, { ids: ids.slice(at, at + 200) });
    const { entries, bytes } = await statsOf(router);
    expect(bytes).toBeLessThanOrEqual(100_000);
    expect(entries).toBeGreaterThan(100);
  });

  it('is nothing where that is wanted', async () => {
    const { router, reviews } = await aShop({ ROUTER_CACHE_BYTES_MAX: '0' });
    for (let n = 0; n < 2; n++) await dataOf(router, '{ best(of: 1) { title } }');
    expect([reviews.calls.length, await statsOf(router)]).toEqual([2, null]);
  });
});
