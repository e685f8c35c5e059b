/**
 * A second supergraph, in the manner of the public benchmark of federation gateways: people review products, and one
 * deep operation goes to and fro between four subgraphs: 16 fetches of the stock gateway, an answer of about 90 kB.
 * Written in the words of federation 1, which every contender reads. `season` picks one of many worlds, as in world.ts.
 */
import type { GraphQLResolverMap } from '@apollo/subgraph';
import { WORLDS } from './world.ts';

const USERS = 6;
const PRODUCTS = 9;
/** So many that the deep answer has about 90 kB, as that of the public benchmark. */
const REVIEWS = 28;

export type ShopSubgraph = 'accounts' | 'inventory' | 'products' | 'reviews';

export const shopSdl: Record<ShopSubgraph, string> = {
  accounts: `
    extend type Query { users(season: Int! = 0): [User] }
    type User @key(fields: "id") { id: ID! name: String username: String birthday: Int }`,
  inventory: `
    extend type Product @key(fields: "upc") {
      upc: String! @external
      weight: Int @external
      price: Int @external
      inStock: Boolean
      shippingEstimate: Int @requires(fields: "price weight")
    }`,
  products: `
    extend type Query { topProducts(first: Int! = 5, season: Int! = 0): [Product] }
    type Product @key(fields: "upc") { upc: String! name: String price: Int weight: Int }`,
  reviews: `
    type Review @key(fields: "id") { id: ID! body: String author: User @provides(fields: "username") product: Product }
    extend type User @key(fields: "id") { id: ID! @external username: String @external reviews: [Review] }
    extend type Product @key(fields: "upc") { upc: String! @external reviews: [Review] }`,
};

export const shopSubgraphs = Object.keys(shopSdl) as ShopSubgraph[];

const list = <T>(length: number, make: (n: number) => T): T[] => Array.from({ length }, (_, n) => make(n));

/** Ids are `<season>-<number>`. */
const at = (id: string) => {
  const [season = 0, n = 0] = id.split('-').map(Number);
  return { season: season % WORLDS, n };
};

const user = (season: number, n: number) => ({
  id: `${season}-${n}`,
  name: `Uri Goldshtein the ${n}.`,
  username: `urigo-${n}`,
  birthday: 1234567890 + n,
});
const product = (season: number, n: number) => ({
  upc: `${season}-${n}`,
  name: ['Table', 'Couch', 'Glass', 'Chair', 'TV', 'Lamp', 'Grill', 'Fridge', 'Sofa'][n % PRODUCTS],
  price: 100 + n * 17,
  weight: 10 + n * 3,
});
const review = (season: number, n: number) => ({
  id: `${season}-${n}`,
  body: [
    'Love it!',
    'Too expensive.',
    'Could be better. The legs are uneven, but it arrived in two days.',
    'Prefer something else.',
  ][n % 4],
  author: { id: `${season}-${n % USERS}`, username: `urigo-${n % USERS}` },
  product: { upc: `${season}-${(n * 2) % PRODUCTS}` },
});
const reviewsOf = (season: number, isOf: (one: ReturnType<typeof review>) => boolean) =>
  list(REVIEWS, (n) => review(season, n)).filter(isOf);

export const shopResolvers: Record<ShopSubgraph, GraphQLResolverMap<unknown>> = {
  accounts: {
    Query: { users: (_: unknown, { season }: { season: number }) => list(USERS, (n) => user(season, n)) },
    User: {
      __resolveReference: ({ id }: { id: string }) => user(at(id).season, at(id).n),
    },
  },
  inventory: {
    Product: {
      __resolveReference: (known: { upc: string; price?: number; weight?: number }) => ({
        ...known,
        inStock: at(known.upc).n % 2 === 0,
        shippingEstimate:
          known.price === undefined || known.weight === undefined ? null : known.price * known.weight,
      }),
    },
  },
  products: {
    Query: {
      topProducts: (_: unknown, { first, season }: { first: number; season: number }) =>
        list(first, (n) => product(season, n)),
    },
    Product: { __resolveReference: ({ upc }: { upc: string }) => product(at(upc).season, at(upc).n) },
  },
  reviews: {
    Review: { __resolveReference: ({ id }: { id: string }) => review(at(id).season, at(id).n) },
    User: {
      reviews: ({ id }: { id: string }) => reviewsOf(at(id).season, ({ author }) => author.id === id),
    },
    Product: {
      reviews: ({ upc }: { upc: string }) => reviewsOf(at(upc).season, ({ product }) => product.upc === upc),
    },
  },
};

const FRAGMENTS = `fragment User on User { id username name }
fragment Review on Review { id body }
fragment Product on Product { inStock name price shippingEstimate upc weight }`;

export const DEEP = `query Deep($season: Int!) {
  users(season: $season) {
    ...User
    reviews { ...Review product { ...Product reviews { ...Review author { ...User reviews { ...Review product { ...Product } } } } } }
  }
  topProducts(first: 5, season: $season) {
    ...Product
    reviews { ...Review author { ...User reviews { ...Review product { ...Product } } } }
  }
}
${FRAGMENTS}`;
