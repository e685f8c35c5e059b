import { buildSchema, getIntrospectionQuery, type OperationDefinitionNode, parse, validate } from 'graphql';
import { getVariableValues } from 'graphql/execution/values.js';
import { describe, expect, it } from 'vitest';
import { measureIntrospection } from './introspection.ts';
import { compileCost } from './operation-cost.ts';
import { readCostRules } from './rules.ts';

const API = `
  type Query {
    things(first: Int, last: Int = 7): Things @listSize(assumedSize: 25, slicingArguments: ["first", "last"], sizedFields: ["nodes"], requireOneSlicingArgument: false)
    strict(max: Int, min: Int): [Thing!]! @listSize(slicingArguments: ["max", "min"])
    within(input: Page): [Thing] @listSize(slicingArguments: ["input.page.size"], requireOneSlicingArgument: false)
    plain: [Thing!]!  matrix: [[Thing]]  one: Thing  any: [Node!]! @listSize(assumedSize: 3)
    find(filter: Filter, text: String @cost(weight: 20)): Thing
  }
  type Mutation { touch: Thing  count: Int  login: Thing @cost(weight: 50) }
  type Things { nodes: [Thing!]!  total: Int @cost(weight: 5) }
  type Thing implements Node { id: ID!  things(first: Int): Things @listSize(assumedSize: 25, slicingArguments: ["first"], sizedFields: ["nodes"], requireOneSlicingArgument: false)  heavy: Heavy  kind: Kind  size: Big }
  type Other implements Node { id: ID!  heavy: Heavy  others: [Other!] @listSize(assumedSize: 4) }
  interface Node { id: ID! }
  type Heavy @cost(weight: 8) { id: ID! }
  enum Kind @cost(weight: 2) { A }
  scalar Big @cost(weight: 3)
  input Page { page: Size }  input Size { size: Int }
  input Filter { ids: [ID!] @cost(weight: 1)  and: [Filter!]  text: String @cost(weight: 4) }`;
const DIRECTIVES = `
  directive @cost(weight: Int!) on ARGUMENT_DEFINITION | ENUM | FIELD_DEFINITION | INPUT_FIELD_DEFINITION | OBJECT | SCALAR
  directive @listSize(assumedSize: Int, slicingArguments: [String!], sizedFields: [String!], requireOneSlicingArgument: Boolean = true) on FIELD_DEFINITION`;
const LINK =
  'schema @link(url: "https://specs.apollo.dev/cost/v0.1", import: ["@listSize"]) { query: Query mutation: Mutation }';

const schema = buildSchema(DIRECTIVES + API);
const modelOf = (file: string) => ({
  ...{ schema, rules: readCostRules(parse(file)), listSize: 10 },
  introspection: measureIntrospection(schema),
});
const model = modelOf(LINK + API);

function compiled(text: string, variables: Record<string, unknown> = {}, using = model) {
  const document = parse(text);
  expect(validate(schema, document)).toEqual([]);
  const operation = document.definitions[0] as OperationDefinitionNode;
  const { coerced } = getVariableValues(schema, operation.variableDefinitions ?? [], variables);
  const cost = compileCost(using, document, operation);
  return {
    requested: cost.requested(coerced ?? {}),
    actual: (data: object) => cost.actual({ ...data }, coerced ?? {}),
  };
}
const cost = (text: string, variables?: Record<string, unknown>) => compiled(text, variables).requested;

describe('the cost of an operation', () => {
  it.each([
    ['a leaf is free, an object 1', '{ one { id } }', 1],
    ['a list without a hint has the default size', '{ plain { id } }', 10],
    ['a list of lists has it twice', '{ matrix { id } }', 100],
    [
      'a connection is 1, and its lists as long as the slicing argument says',
      '{ things(first: 50) { nodes { id } } }',
      51,
    ],
    ['of two slicing arguments the larger counts, a default too', '{ things(first: 2) { nodes { id } } }', 8],
    [
      'a null slicing argument leaves the assumed size',
      '{ one { things(first: null) { nodes { id } } } }',
      27,
    ],
    ['a negative size is none', '{ one { things(first: -5) { nodes { id } } } }', 2],
    [
      'nested sizes multiply',
      '{ one { things(first: 100) { nodes { things(first: 100) { nodes { id } } } } } }',
      10_202,
    ],
    ['a slicing argument may stand within an input', '{ within(input: { page: { size: 5 } }) { id } }', 7],
    ['a weight takes the place of the default', '{ one { heavy { id } kind size } }', 14],
    ['a weighted leaf counts once a list is asked for', '{ things(first: 9) { total } }', 6],
    [
      'the dearest possible type counts, beside what all have',
      '{ any { id ... on Thing { heavy { id } } ... on Other { others { id } } } }',
      27,
    ],
    [
      'a type that is named through its interface is no other',
      '{ any { ... on Node { ... on Thing { heavy { id } } } } }',
      27,
    ],
    [
      'fields of one response name are one field',
      '{ one { heavy { id } } ...F } fragment F on Query { one { heavy { a: id } } }',
      9,
    ],
    ['an alias is another field', '{ a: one { id } b: one { id } }', 2],
    ['a weighted argument counts when it is given', '{ find(text: "x") { id } }', 21],
    [
      'input objects count, and the items of a weighted list',
      '{ find(filter: { ids: [1, 2, 3], and: [{ text: "x" }, {}] }) { id } }',
      11,
    ],
    ['a root field of a mutation is 10', 'mutation { touch { id } count }', 20],
    ['a weighted one is its weight', 'mutation { login { id } }', 50],
    [
      'what is skipped is free',
      '{ one @skip(if: true) { heavy { id } } plain @include(if: false) { id } }',
      0,
    ],
    ['__typename is free', '{ __typename one { __typename } }', 1],
  ])('%s', (_rule, text, points) => {
    expect(cost(text)).toBe(points);
  });

  it('depends on variables only by sizes, inputs and conditions', () => {
    const text = `query ($n: Int = 3, $is: Boolean!, $f: Filter) {
      one { things(first: $n) { nodes { heavy @include(if: $is) { id } } } } find(filter: $f) { id } }`;
    expect(cost(text, { is: true })).toBe(1 + 1 + 3 * 9 + 1);
    expect(cost(text, { is: false, n: 5 })).toBe(1 + 1 + 5 + 1);
    expect(cost(text, { is: false, n: 0, f: { ids: Array(1_000).fill('x') } })).toBe(1 + 1 + 1 + 1 + 1_000);
  });

  it('needs exactly one slicing argument where the schema says so', () => {
    expect(cost('query ($n: Int) { strict(max: $n) { id } }', { n: 4 })).toBe(4);
    for (const args of ['', '(max: 1, min: 1)']) {
      expect(() => cost(`{ strict${args} { id } }`)).toThrow(
        'Query.strict needs exactly one of these arguments',
      );
    }
  });

  it('of introspection follows the size of the schema, and nests', () => {
    const standard = cost(getIntrospectionQuery());
    expect(standard).toBeLessThan(250);
    const aliased = (times: number) =>
      `{ ${Array.from({ length: times }, (_, n) => `a${n}: __schema { types { fields { type { name fields { name type { name } } } } } }`).join(' ')} }`;
    expect(cost(aliased(30))).toBeGreaterThan(25 * cost(aliased(1)));
  });

  it('of fragments that double is that of all they expand to', () => {
    const doubling = Array.from(
      { length: 12 },
      (_, n) =>
        `fragment F${n} on Thing { a: things { nodes { ...F${n + 1} } } b: things { nodes { ...F${n + 1} } } }`,
    );
    const text = `{ one { ...F0 } } ${doubling.slice(0, 8).join(' ')} fragment F8 on Thing { id }`;
    expect(cost(text)).toBeGreaterThan(1e12);
  });
});

describe('what an answer has cost', () => {
  it('counts the objects that are there', () => {
    const { requested, actual } = compiled(
      '{ things(first: 50) { total nodes { id heavy { id } } } plain { id } }',
    );
    expect(requested).toBe(1 + 5 + 50 * 9 + 10);
    const node = { id: '1', heavy: { id: 'h' } };
    expect(
      actual({ things: { total: 2, nodes: [node, { id: '2', heavy: null }] }, plain: [{ id: '3' }] }),
    ).toBe(1 + 5 + 9 + 1 + 1);
    expect(actual({ things: null, plain: [] })).toBe(0);
  });
});

describe('the rules', () => {
  it.each([
    [
      'renamed by their imports',
      'import: [{ name: "@cost", as: "@price" }, { name: "@listSize", as: "@long" }]',
      '@price',
      '@long',
    ],
    ['prefixed when they are not imported', 'as: "money"', '@money', '@money__listSize'],
  ])('are read %s', (_how, link, price, long) => {
    const file =
      LINK.replace('import: ["@listSize"]', link) +
      API.replaceAll('@cost', price).replaceAll('@listSize', long);
    expect(
      compiled('{ things(first: 50) { total nodes { heavy { id } } } }', {}, modelOf(file)).requested,
    ).toBe(456);
  });

  it('are defaults where the file has none', () => {
    const file = `schema { query: Query mutation: Mutation }${API}`;
    expect(
      compiled('{ things(first: 50) { total nodes { heavy { id } } } }', {}, modelOf(file)).requested,
    ).toBe(21);
  });
});
