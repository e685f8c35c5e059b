import { GraphQLError } from 'graphql';
import { beforeAll, describe, expect, it } from 'vitest';
import { anEngine, type Engine } from './engine-fixture.ts';

const PRODUCTS = `
  type Query { products(first: Int! = 3): [Product!]!  product(id: ID!): Product  media: [Media!]  searched: [Found]  grid: [[Cell!]]  boom: Product }
  type Mutation { rename(id: ID!, name: String!): Product  drop(id: ID!): ID }
  type Subscription { changed: Product }
  interface Media @key(fields: "id") { id: ID!  title: String }
  type Book implements Media @key(fields: "id") { id: ID!  title: String  pages: Int }
  type Film implements Media @key(fields: "id") { id: ID!  title: String  minutes: Int }
  union Found = Book | Product
  type Product @key(fields: "id") { id: ID!  name: String  weight: Int  size: Size  maker: Maker  related: [Product!]  kind: Kind  raw: JSON  price: Float }
  type Size { width: Int  height: Int }
  type Cell @key(fields: "x y") { x: Int!  y: Int! }
  type Maker @key(fields: "id") { id: ID! }
  enum Kind { SMALL LARGE SECRET @inaccessible }
  scalar JSON
`;
const REVIEWS = `
  type Query { topReviewed: [Media!] }
  type Product @key(fields: "id") { id: ID!  weight: Int @external  size: Size @external
    shipping: Int @requires(fields: "weight size { width height }")  score: Int!  reviews(first: Int): [Review!]! }
  type Size @shareable { width: Int @external  height: Int @external }
  type Review { text: String  stars: Int!  author: Maker }
  type Media @key(fields: "id") @interfaceObject { id: ID!  praise: String }
  type Maker @key(fields: "id") { id: ID!  name: String!  rating(of: Int): Int }
  type Cell @key(fields: "x y") { x: Int!  y: Int!  colour: String }
`;

const product = (id: string) => ({
  __typename: 'Product',
  id,
  name: `Product ${id}`,
  weight: Number(id),
  size: { width: 2, height: 3 },
  maker: { id: `m${Number(id) % 2}` },
  kind: 'LARGE',
  raw: { deep: [1, null, '"'] },
  price: 1.5,
});

let engine: Engine;

beforeAll(async () => {
  engine = await anEngine({
    products: {
      sdl: PRODUCTS,
      resolvers: {
        Query: {
          products: (_: unknown, { first }: { first: number }) =>
            Array.from({ length: first }, (_unused, at) => product(String(at + 1))),
          product: (_: unknown, { id }: { id: string }) => product(id),
          media: () => [
            { __typename: 'Book', id: 'b1', title: 'A Book', pages: 100 },
            { __typename: 'Film', id: 'f1', title: 'A Film', minutes: 90 },
          ],
          searched: () => [{ __typename: 'Book', id: 'b1', title: 'A Book', pages: 100 }, null, product('7')],
          grid: () => [
            [
              { x: 0, y: 0 },
              { x: 0, y: 1 },
            ],
            null,
            [{ x: 1, y: 0 }],
          ],
          boom: () => {
            throw new Error('no products today');
          },
        },
        Mutation: {
          rename: (_: unknown, { id, name }: { id: string; name: string }) => ({ ...product(id), name }),
          drop: (_: unknown, { id }: { id: string }) => id,
        },
        Product: {
          __resolveReference: ({ id }: { id: string }) => product(id),
          related: ({ id }: { id: string }) => [product(id), product('9')],
        },
        Media: {
          __resolveReference: ({ id }: { id: string }) =>
            id.startsWith('b')
              ? { __typename: 'Book', id, title: 'A Book', pages: 100 }
              : { __typename: 'Film', id, title: 'A Film', minutes: 90 },
          __resolveType: ({ __typename }: { __typename: string }) => __typename,
        },
        Book: { __resolveReference: ({ id }: { id: string }) => ({ id, title: 'A Book', pages: 100 }) },
        Film: { __resolveReference: ({ id }: { id: string }) => ({ id, title: 'A Film', minutes: 90 }) },
      },
    },
    reviews: {
      sdl: REVIEWS,
      resolvers: {
        Query: { topReviewed: () => [{ id: 'f1' }, { id: 'b1' }] },
        Product: {
          __resolveReference: (reference: { id: string }) => (reference.id === '404' ? null : reference),
          shipping: ({ weight, size }: { weight: number; size: { width: number; height: number } }) =>
            weight * size.width * size.height,
          score: ({ id }: { id: string }) => Number(id) * 10,
          reviews: ({ id }: { id: string }) => [{ text: `about ${id}`, stars: 5, author: { id: 'm1' } }],
        },
        Media: {
          __resolveReference: ({ id }: { id: string }) => ({ id }),
          praise: ({ id }: { id: string }) => `praise of ${id}`,
        },
        Maker: {
          __resolveReference: ({ id }: { id: string }) => ({ id }),
          name: ({ id }: { id: string }) => `Maker ${id}`,
          rating: (_: unknown, { of = 0 }: { of?: number }) => of,
        },
        Cell: {
          __resolveReference: (reference: object) => reference,
          colour: ({ x, y }: { x: number; y: number }) => `${x}-${y}`,
        },
      },
    },
  });
});

describe('an operation', () => {
  it.each([
    ['fields of several subgraphs', '{ products { id name score shipping maker { name } } }'],
    [
      'aliases and merged selections',
      '{ a: products(first: 1) { n: name maker { id } maker { label: name } } b: product(id: "5") { score } }',
    ],
    [
      'fragments of interfaces and unions',
      '{ media { __typename id title praise ... on Book { pages } ...F } searched { __typename ... on Product { score } ... on Media { praise } } } fragment F on Film { minutes long: minutes }',
    ],
    [
      'an interface object that is asked first',
      '{ topReviewed { __typename id praise title ... on Film { minutes } } }',
    ],
    ['nested lists', '{ grid { x y colour } }'],
    ['every kind of leaf', '{ product(id: "3") { id kind raw price weight t: __typename } t: __typename }'],
    [
      'conditions that are constants',
      '{ product(id: "3") { id @skip(if: true) name @include(if: true) score @include(if: false) } }',
    ],
    [
      'introspection beside data',
      '{ __schema { queryType { name } } product(id: "3") { id } __type(name: "Kind") { enumValues { name } } }',
    ],
    ['introspection alone', '{ __type(name: "Product") { fields { name type { kind } } } }'],
    ['nothing but its type', '{ __typename }'],
  ])('with %s is answered as by the stock executor', async (_what, query) => {
    const [ours, stock] = await Promise.all([engine.ask(query), engine.askStock(query)]);
    expect(ours.data).toEqual(stock.data);
    expect([ours.errors, ours.fallback]).toEqual([[], undefined]);
  });

  it('is answered in the order of its text', async () => {
    const { text } = await engine.ask(
      '{ product(id: "3") { score ...N id } } fragment N on Product { name maker { name id } }',
    );
    expect(text).toBe(
      '{"product":{"score":30,"name":"Product 3","maker":{"name":"Maker m1","id":"m1"},"id":"3"}}',
    );
  });

  it.each([
    [
      { a: true, b: false },
      { id: '3', name: 'Product 3' },
    ],
    [
      { a: false, b: true },
      { id: '3', score: 30 },
    ],
    [{ b: false }, { id: '3', name: 'Product 3' }],
    [
      { a: true, b: true },
      { id: '3', name: 'Product 3', score: 30 },
    ],
  ])('with the conditions %j selects what they say', async (variables, expected) => {
    const query =
      'query($a: Boolean! = true, $b: Boolean!) { product(id: "3") { id name @include(if: $a) ... @skip(if: false) { score @include(if: $b) } } }';
    const { data, calls } = await engine.ask(query, { variables });
    expect(data).toEqual({ product: expected });
    expect(calls).toHaveLength('score' in expected ? 2 : 1);
  });

  it('whose condition is sent as null is refused, and nothing is asked', async () => {
    const query = 'query($a: Boolean = true) { product(id: "3") { id @include(if: $a) } }';
    const { text, errors, calls } = await engine.ask(query, { variables: { a: null } });
    expect([text, errors[0]?.extensions?.code, calls]).toEqual([null, 'BAD_USER_INPUT', []]);
  });

  it('may call a variable as the planner calls its own', async () => {
    const query =
      'query($representations: Int!) { products(first: $representations) { maker { rating(of: $representations) } } }';
    const { data, errors } = await engine.ask(query, { variables: { representations: 1 } });
    expect([data, errors]).toEqual([{ products: [{ maker: { rating: 1 } }] }, []]);
  });

  it('asks for each entity once, however often it stands in the answer', async () => {
    const { data, calls } = await engine.ask('{ products(first: 10) { maker { name } } }');
    expect(data.products).toHaveLength(10);
    expect(calls[1]?.variables).toEqual({
      representations: [
        { __typename: 'Maker', id: 'm1' },
        { __typename: 'Maker', id: 'm0' },
      ],
    });
  });

  it('asks one subgraph once for the entities of one step, and knows them apart again', async () => {
    const query =
      'query($of: Int) { products(first: 2) { score maker { name rating(of: $of) } } media { praise } }';
    const { data, calls, errors } = await engine.ask(query, { variables: { of: 4 } });
    expect(errors).toEqual([]);
    expect(calls.map(({ subgraph }) => subgraph)).toEqual(['products', 'reviews']);
    expect(data.products[0]).toEqual({ score: 10, maker: { name: 'Maker m1', rating: 4 } });
    expect(data.media).toEqual([{ praise: 'praise of b1' }, { praise: 'praise of f1' }]);
    const { data: alone, calls: fewer } = await engine.ask(query, {
      instead: (subgraph) =>
        subgraph === 'products'
          ? { data: { products: [], media: [{ __typename: 'Film', id: 'f1' }] } }
          : undefined,
    });
    expect([alone, fewer[1]?.query]).toEqual([
      { products: [], media: [{ praise: 'praise of f1' }] },
      expect.not.stringContaining('r0'),
    ]);
  });

  it('makes no call for entities that are not there', async () => {
    const { data, calls } = await engine.ask('{ product(id: "3") { score maker { name } } }', {
      instead: () => ({ data: { product: null } }),
    });
    expect([data, calls.length]).toEqual([{ product: null }, 1]);
  });

  it('that changes something makes its changes one after the other', async () => {
    const { data, calls } = await engine.ask(
      'mutation { a: rename(id: "1", name: "x") { name score } drop(id: "2") }',
    );
    expect(data).toEqual({ a: { name: 'x', score: 10 }, drop: '2' });
    expect(calls.map(({ subgraph }) => subgraph)).toEqual(['products', 'reviews']);
  });

  it('that subscribes is answered per event, which stands for the first fetch', async () => {
    const { data, calls } = await engine.ask('subscription { changed { name score } }', {
      event: { data: { changed: { __typename: 'Product', id: '8', name: 'eight' } } },
    });
    expect(data).toEqual({ changed: { name: 'eight', score: 80 } });
    expect(calls.map(({ subgraph }) => subgraph)).toEqual(['reviews']);
  });

  it('may use names that every object has', async () => {
    const query =
      '{ __proto__: product(id: "3") { constructor: name __proto__: score toString: __typename hasOwnProperty: maker { valueOf: name } } }';
    const { text, errors } = await engine.ask(query);
    expect([text, errors]).toEqual([
      '{"__proto__":{"constructor":"Product 3","__proto__":30,"toString":"Product","hasOwnProperty":{"valueOf":"Maker m1"}}}',
      [],
    ]);
    expect(({} as { name?: string }).name).toBeUndefined();
  });
});

describe('what a subgraph says', () => {
  const answering = (subgraph: string, answer: unknown) => (asked: string) =>
    asked === subgraph ? answer : undefined;

  it('is null where a null may be, up to the nearest place that may, with one error at the place', async () => {
    const { data, errors } = await engine.ask('{ product(id: "3") { id name score } }', {
      instead: answering('reviews', { data: { _entities: [{ score: null }] } }),
    });
    expect(data).toEqual({ product: null });
    expect(errors).toEqual([
      expect.objectContaining({
        message: 'Cannot return null for non-nullable field Product.score.',
        path: ['product', 'score'],
      }),
    ]);
  });

  it('with an error of its own is told with the place in the answer, and not doubled by the null', async () => {
    const { data, errors } = await engine.ask('{ products(first: 2) { name score maker { name } } }', {
      instead: (subgraph) =>
        subgraph === 'reviews'
          ? {
              data: { _0: [{ score: 10 }, null], _1: [{ name: 'one' }, { name: 'zero' }] },
              errors: [{ message: 'no score', path: ['_0', 1, 'score'] }],
            }
          : undefined,
    });
    expect(data).toBeNull();
    expect(errors).toEqual([
      {
        message: 'no score',
        path: ['products', 1, 'score'],
        extensions: { code: 'DOWNSTREAM_SERVICE_ERROR', serviceName: 'reviews' },
      },
    ]);
  });

  it('of an entity that stands at several places is told at each of them', async () => {
    const { errors } = await engine.ask('{ products(first: 3) { maker { rating } } }', {
      instead: answering('reviews', {
        data: { _entities: [{ rating: null }, { rating: 1 }] },
        errors: [{ message: 'no rating', path: ['_entities', 0, 'rating'] }],
      }),
    });
    expect(errors.map(({ path }) => path)).toEqual([
      ['products', 0, 'maker', 'rating'],
      ['products', 2, 'maker', 'rating'],
    ]);
  });

  it('with a fault inside an entity that stands at several places is told at each of them', async () => {
    const { data, errors } = await engine.ask('{ products(first: 2) { reviews { text stars } } }', {
      instead: (subgraph) =>
        subgraph === 'products'
          ? { data: { products: [1, 2].map(() => ({ __typename: 'Product', id: '1' })) } }
          : { data: { _entities: [{ reviews: [{ text: 5, stars: 1 }] }] } },
    });
    const reviews = [{ text: null, stars: 1 }];
    expect(data).toEqual({ products: [{ reviews }, { reviews }] });
    expect(errors.map(({ path }) => path?.join('.'))).toEqual([
      'products.0.reviews.0.text',
      'products.1.reviews.0.text',
    ]);
  });

  it.each([
    ['too few', { data: { _entities: [] } }],
    ['too many', { data: { _entities: [{}, {}, {}] } }],
    ['no list', { data: { _entities: { length: 1 } } }],
    ['nothing', { data: {} }],
    ['null', { data: null }],
  ])('of entities, when it is %s, is one coded error and data beside it', async (_what, answer) => {
    const { data, errors } = await engine.ask('{ product(id: "3") { name shipping } }', {
      instead: answering('reviews', answer),
    });
    expect(data).toEqual({ product: { name: 'Product 3', shipping: null } });
    expect(errors).toEqual([
      expect.objectContaining({
        path: ['product'],
        extensions: { code: 'SUBGRAPH_UNAVAILABLE', retryable: true },
      }),
    ]);
  });

  it('when it fails is one coded error with the place, and the data of the others', async () => {
    const failure = new GraphQLError('later', { extensions: { code: 'TIMEOUT' } });
    const { data, errors } = await engine.ask('{ product(id: "3") { name shipping } }', {
      instead: answering('reviews', failure),
    });
    expect(data).toEqual({ product: { name: 'Product 3', shipping: null } });
    expect(errors).toEqual([
      expect.objectContaining({ message: 'later', path: ['product'], extensions: { code: 'TIMEOUT' } }),
    ]);
  });

  it('about an entity that is not there is no fault, unless nothing at all is left', async () => {
    const query = '{ product(id: "3") { name score } }';
    const gone = answering('reviews', { data: { _entities: [null] } });
    expect(await engine.ask(query, { instead: gone })).toMatchObject({ data: { product: null }, errors: [] });
    const all = await engine.ask('{ products(first: 1) { score } }', { instead: gone });
    expect([all.data, all.errors.length]).toEqual([null, 1]);
  });

  it.each([
    ['an enum value that clients may not see', { kind: 'SECRET' }, 'kind'],
    ['a text for a number', { weight: 'heavy' }, 'weight'],
    ['a number for a text', { name: 5 }, 'name'],
    ['an object for a list', { related: {} }, 'related'],
    ['a text for an object', { size: 'large' }, 'size'],
  ])('with %s is null, with an error at the place', async (_what, fields, key) => {
    const selection = key === 'related' ? 'related { id }' : key === 'size' ? 'size { width }' : key;
    const { data, errors } = await engine.ask(`{ product(id: "3") { ${selection} } }`, {
      instead: () => ({ data: { product: { __typename: 'Product', id: '3', ...fields } } }),
    });
    expect(data).toEqual({ product: { [key]: null } });
    expect(errors).toEqual([
      expect.objectContaining({
        message: `Invalid value found for field Product.${key}.`,
        path: ['product', key],
      }),
    ]);
  });

  it('with errors that are none is survived', async () => {
    const { data } = await engine.ask('{ product(id: "3") { name score } }', {
      instead: (subgraph) =>
        subgraph === 'reviews'
          ? {
              data: { _entities: [{ score: 1 }] },
              errors: [null, 'x', { path: 7 }, { path: ['_entities', 5] }, {}],
            }
          : undefined,
    });
    expect(data).toEqual({ product: { name: 'Product 3', score: 1 } });
  });

  it('cannot reach what every object inherits', async () => {
    const evil = JSON.parse(
      '{"data":{"product":{"__typename":"Product","id":"3","name":"n","__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}},"__proto__":{"polluted":1}}}',
    );
    const worse = JSON.parse(
      '{"data":{"_entities":[{"score":1,"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}]}}',
    );
    const { data } = await engine.ask('{ product(id: "3") { name score } }', {
      instead: (subgraph) => (subgraph === 'reviews' ? worse : evil),
      variables: JSON.parse('{"__proto__":{"polluted":1}}'),
    });
    expect(data).toEqual({ product: { name: 'n', score: 1 } });
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });

  it('computes nothing from what an earlier fetch did not bring', async () => {
    const { data, calls } = await engine.ask('{ product(id: "3") { name shipping } }', {
      instead: answering('products', {
        data: { product: { __typename: 'Product', id: '3', name: 'n', weight: 1 } },
      }),
    });
    expect(data).toEqual({ product: { name: 'n', shipping: null } });
    expect(calls).toHaveLength(1);
  });
});

describe('@defer', () => {
  const QUERY =
    '{ products(first: 2) { id ... on Product @defer(label: "later") { score maker { name } } } }';

  it('is a hint to whom takes one answer', async () => {
    const { data, parts } = await engine.ask(QUERY);
    expect(data.products[1]).toEqual({ id: '2', score: 20, maker: { name: 'Maker m0' } });
    expect(parts).toEqual([]);
  });

  it('is answered in parts, one per object, with label and path', async () => {
    const { data, parts, errors } = await engine.ask(QUERY, { parts: true });
    expect([data, errors]).toEqual([{ products: [{ id: '1' }, { id: '2' }] }, []]);
    expect(parts).toEqual([
      {
        hasNext: false,
        incremental: [
          { path: ['products', 0], label: 'later', dataText: '{"score":10,"maker":{"name":"Maker m1"}}' },
          { path: ['products', 1], label: 'later', dataText: '{"score":20,"maker":{"name":"Maker m0"}}' },
        ],
      },
    ]);
  });

  it('inside @defer comes after the part that it stands in', async () => {
    const query =
      '{ product(id: "3") { id ... @defer { name maker { id ... @defer { name } } } ...S @defer(label: "s") } } fragment S on Product { score }';
    const { data, parts } = await engine.ask(query, { parts: true });
    expect(data).toEqual({ product: { id: '3' } });
    const told = parts.flatMap(({ incremental }) =>
      incremental.map(({ path, dataText }) => [path.join('.'), dataText]),
    );
    expect(told.toSorted()).toEqual([
      ['product', '{"name":"Product 3","maker":{"id":"m1"}}'],
      ['product', '{"score":30}'],
      ['product.maker', '{"name":"Maker m1"}'],
    ]);
    expect(told.findIndex(([path]) => path === 'product.maker')).toBeGreaterThan(
      told.findIndex(([, text]) => text?.startsWith('{"name":"Product')),
    );
    expect(parts.map(({ hasNext }) => hasNext)).toEqual([...parts.slice(1).map(() => true), false]);
  });

  it.each([
    [true, 1],
    [false, 0],
  ])('whose condition is %s makes %i parts', async (variable, count) => {
    const query = 'query($d: Boolean!) { product(id: "3") { id ... @defer(if: $d) { score } } }';
    const { parts } = await engine.ask(query, { parts: true, variables: { d: variable } });
    expect(parts).toHaveLength(count);
  });

  it('tells the errors of a part with the part', async () => {
    const { data, errors, parts } = await engine.ask(QUERY, {
      parts: true,
      instead: (subgraph) =>
        subgraph === 'reviews' ? new GraphQLError('later', { extensions: { code: 'TIMEOUT' } }) : undefined,
    });
    expect([data.products.length, errors]).toEqual([2, []]);
    expect(parts[0]?.incremental[0]).toMatchObject({
      dataText: 'null',
      errors: [{ message: 'later', path: ['products'] }, { message: 'later' }],
    });
  });

  it('sends no part for what a null has taken from the client', async () => {
    const query = '{ product(id: "3") { score maker { id ... @defer { name } } } }';
    const { data, parts } = await engine.ask(query, {
      parts: true,
      instead: (subgraph, text) =>
        subgraph === 'reviews' && text.includes('score')
          ? { data: { _entities: [{ score: null }] } }
          : undefined,
    });
    expect([data, parts]).toEqual([{ product: null }, [{ incremental: [], hasNext: false }]]);
  });
});
