import { describe, expect, it } from 'vitest';
import { readCacheHints } from './cache-hints.ts';
import { requestPolicy } from './request-policy.ts';

const SDL = `
  schema @link(url: "https://specs.example.com/cacheControl/v1.0", import: [{ name: "@cacheControl", as: "@keep" }]) { query: Query }
  enum join__Graph { A @join__graph(name: "a", url: "http://a") B @join__graph(name: "b", url: "http://b") }
  type Query { hinted: Leaf @keep(maxAge: 10)  open: Leaf  count: Int @keep(maxAge: 5)  none: Int  item: Item @keep(maxAge: 30)
    zero: Int @keep(maxAge: 0)  things: [Thing] @keep(maxAge: 40) }
  type Leaf { a: Int  b: Int @keep(maxAge: 3)  mine: Int @keep(scope: PRIVATE)  inner: Leaf  kept: Leaf @keep(inheritMaxAge: true) }
  interface Item { name: String }
  type Book implements Item @join__type(graph: A, key: "id") { id: ID!  name: String  stars: Int @keep(maxAge: 60)  sold: Int }
  type Film implements Item @join__type(graph: A, key: "id") { id: ID!  name: String @keep(maxAge: 2, scope: PRIVATE) }
  type Own @join__type(graph: A, key: "id") @keep(maxAge: 50) { id: ID!  x: Int  y: Int @keep(maxAge: 7)  leaf: Leaf }
  type Both @join__type(graph: A, key: "id") @join__type(graph: B, key: "sku") @keep(maxAge: 50, scope: PRIVATE)
    { id: ID!  sku: ID!  x: Int  y: Int @keep(maxAge: 7) }
  union Thing = Own | Leaf`;
const hints = readCacheHints(SDL);

/** `12 PUBLIC`, or null. */
function root(query: string, defaultMaxAge = 0): string | null {
  const policy = requestPolicy(hints, 'a', query, { defaultMaxAge });
  return policy?.kind === 'whole' ? said(policy.lifetime) : null;
}

function entity(selection: string, typename: string, subgraph = 'a', defaultMaxAge = 0): string | null {
  const query = `query ($representations: [_Any!]!) { _entities(representations: $representations) { ${selection} } }`;
  const policy = requestPolicy(hints, subgraph, query, { defaultMaxAge });
  const lifetime = policy?.kind === 'entities' ? policy.parts[0]?.lifetimeOf(typename) : null;
  return lifetime ? said(lifetime) : null;
}

const said = ({ maxAge, isPrivate }: { maxAge: number; isPrivate: boolean }) =>
  `${maxAge} ${isPrivate ? 'PRIVATE' : 'PUBLIC'}`;

describe('what of a request may be kept', () => {
  it.each<[string, string | null]>([
    ['{ hinted { a } }', '10 PUBLIC'],
    ['{ hinted { a b } }', '3 PUBLIC'],
    ['{ hinted { a mine } }', '10 PRIVATE'],
    ['{ hinted { a } count }', '5 PUBLIC'],
    ['{ hinted { inner { a } } }', null],
    ['{ hinted { kept { a } } }', '10 PUBLIC'],
    ['{ hinted { a } none }', null],
    ['{ hinted { unknown } }', null],
    ['{ open { a } }', null],
    ['{ zero }', null],
    ['{ item { name } }', '2 PRIVATE'],
    ['{ item { ... on Book { stars } } }', '30 PUBLIC'],
    ['{ things { __typename ... on Own { x } ... on Leaf { b } } }', '3 PUBLIC'],
    ['query { ...F } fragment F on Query { none }', null],
    ['mutation { count }', null],
    ['subscription { count }', null],
  ])('of the root fields %s: %s', (query, expected) => {
    expect(root(query)).toBe(expected);
  });

  it.each<[string, string, string | null]>([
    ['... on Book { stars }', 'Book', '60 PUBLIC'],
    ['... on Book { __typename id stars }', 'Book', '60 PUBLIC'],
    ['... on Book { stars sold }', 'Book', null],
    ['... on Book { id }', 'Book', null],
    ['... on Book { stars } ... on Own { x }', 'Own', '50 PUBLIC'],
    ['... on Book { sold } ... on Own { x y }', 'Own', '7 PUBLIC'],
    ['... on Item { name }', 'Film', '2 PRIVATE'],
    ['... on Item { name }', 'Book', null],
    ['... on Own { leaf { a } }', 'Own', null],
    ['... on Both { x }', 'Both', null],
    ['... on Both { y }', 'Both', '7 PRIVATE'],
    ['... on Both { id y }', 'Both', '7 PRIVATE'],
    ['... on Both { sku y }', 'Both', null],
    ['... on Nobody { x }', 'Nobody', null],
  ])('of the entities %s of %s: %s', (selection, typename, expected) => {
    expect(entity(selection, typename)).toBe(expected);
  });

  it('is more where everything is kept for its caller', () => {
    expect(root('{ open { a inner { a } } none }', 60)).toBe('60 PRIVATE');
    expect(entity('... on Book { stars sold }', 'Book', 'a', 20)).toBe('20 PRIVATE');
    expect(root('{ zero }', 60)).toBeNull();
  });
});
