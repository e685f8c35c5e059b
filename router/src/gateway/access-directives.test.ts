import {
  buildSchema,
  type FieldNode,
  getOperationAST,
  type OperationDefinitionNode,
  parse,
  print,
} from 'graphql';
import { describe, expect, it } from 'vitest';
import { readAccessDirectives } from './access-directives.ts';
import { accessOf, type Grants } from './access-restriction.ts';

const TYPES = `
  type Query { a: String  secret: String @open  item: Item  any: Any  film: Film  rare: Film @scoped(scopes: [["a", "b"], ["c"]])
    policy: String @policed(policies: [["p"], ["q", "r"]])  nobody: String @scoped(scopes: [])  kind: Kind  amount: Money }
  interface Item { title: String  extra: String @open }
  type Book implements Item { title: String @open  extra: String @join__field }
  type Film implements Item @policed(policies: [["film"]]) { title: String  extra: String @join__field }
  type Price { base: Int @open  full: Int @join__field(graph: B, requires: "base shipping { cost }")  shipping: Ship  list: Int
    told: Int @join__field(graph: B, contextArguments: [{ context: "b__c", name: "x", type: "Int", selection: "{ cost }" }]) }
  type Ship @context(name: "b__c") { cost: Int @scoped(scopes: [["ship"]]) }
  enum Kind @open { A }
  scalar Money @scoped(scopes: [["money"]])
  union Any = Film | Price`;
const LINKS = `schema
    @link(url: "https://specs.apollo.dev/link/v1.0")
    @link(url: "https://specs.apollo.dev/authenticated/v0.1", as: "open", for: SECURITY)
    @link(url: "https://specs.apollo.dev/requiresScopes/v0.1", import: [{ name: "@requiresScopes", as: "@scoped" }], for: SECURITY)
    @link(url: "https://specs.apollo.dev/policy/v0.1", as: "policed", for: SECURITY) { query: Query }`;
const DIRECTIVES = `
  directive @open on FIELD_DEFINITION | OBJECT | ENUM | SCALAR | INTERFACE
  directive @policed(policies: [[String!]!]!) on FIELD_DEFINITION | OBJECT
  directive @scoped(scopes: [[String!]!]!) on FIELD_DEFINITION | SCALAR
  directive @context(name: String!) on OBJECT
  directive @join__field(graph: G, requires: String, contextArguments: [C!]) on FIELD_DEFINITION
  enum G { B } input C { context: String name: String type: String selection: String }
  directive @link(url: String, as: String, for: Purpose, import: [I]) repeatable on SCHEMA enum Purpose { SECURITY } scalar I`;

const schema = buildSchema(`${DIRECTIVES} ${LINKS} ${TYPES}`);
const read = readAccessDirectives(`${LINKS} ${DIRECTIVES} ${TYPES}`);

const grants = (...names: string[]): Grants => ({
  isAuthenticated: names.length > 0,
  scopes: new Set(names),
  policies: new Set(names),
});
const NOBODY = grants();

function accessTo(text: string) {
  const document = parse(text);
  const operation = getOperationAST(document, 'Q') ?? (document.definitions[0] as OperationDefinitionNode);
  if (!read.rules) throw new Error('no rules were read');
  return accessOf(schema, read.rules, document, operation);
}

const refused = (text: string, who: Grants): string[] => {
  const found = accessTo(text)?.refused(who) ?? new Map<FieldNode, { coordinate: string }>();
  return [...found.values()].map(({ coordinate }) => coordinate);
};

describe('the access directives of a supergraph', () => {
  it('are taken over from the gateway, which would refuse them', () => {
    expect(read.sdl).not.toContain('for: SECURITY');
    expect(read.sdl).toContain('https://specs.apollo.dev/authenticated/v0.1');
  });

  it('leave a file that has none as it is', () => {
    expect(readAccessDirectives(TYPES)).toEqual({ sdl: TYPES, rules: null });
  });

  it.each<[string, Grants, string[]]>([
    ['{ a }', NOBODY, []],
    ['{ __schema { types { name } } }', NOBODY, []],
    ['{ a secret }', NOBODY, ['Query.secret']],
    ['{ secret }', grants('anything'), []],
    ['query A { secret } query Q { a }', NOBODY, []],
    ['query Q { ...F } fragment F on Query { b: secret a }', NOBODY, ['Query.secret']],
    ['{ kind amount }', NOBODY, ['Query.kind', 'Query.amount']],
    ['{ kind amount }', grants('money'), []],
    ['{ nobody }', grants('everything'), ['Query.nobody']],
  ])('keep from the caller of %s what they protect', (text, who, expected) => {
    expect(refused(text, who)).toEqual(expected);
  });

  it.each<[Grants, boolean]>([
    [NOBODY, false],
    [grants('a'), false],
    [grants('a', 'b'), true],
    [grants('c'), true],
  ])('read [[a, b], [c]] as (a and b) or c: %o %s', (who, isOpen) => {
    const all = { ...who, policies: new Set(['film']) };
    expect(refused('{ rare { __typename } }', all)).toEqual(isOpen ? [] : ['Query.rare']);
    const named = new Set([...who.scopes].map((name) => ({ a: 'q', b: 'r', c: 'p' })[name] ?? ''));
    expect(refused('{ policy }', { ...who, policies: named })).toEqual(isOpen ? [] : ['Query.policy']);
  });

  it('ask for what every type needs that may stand behind an interface', () => {
    expect(refused('{ item { title } }', grants('anything'))).toEqual(['Item.title']);
    expect(refused('{ item { title } }', { ...grants('film'), isAuthenticated: false })).toEqual([
      'Item.title',
    ]);
    expect(refused('{ item { title } }', grants('film'))).toEqual([]);
    expect(refused('{ item { __typename ... on Book { title } } }', grants('anything'))).toEqual([]);
    expect(refused('{ any { __typename ... on Film { title } } }', NOBODY)).toEqual(['Film.title']);
    expect(refused('{ film { title } }', NOBODY)).toEqual(['Query.film', 'Film.title']);
  });

  it('reach a field that an interface object gives to its implementers', () => {
    expect(refused('{ item { ... on Book { extra } } }', NOBODY)).toEqual(['Book.extra']);
  });

  it('reach the fields that are computed from protected ones', () => {
    expect(refused('{ any { ... on Price { full list } } }', NOBODY)).toEqual(['Price.full']);
    expect(refused('{ any { ... on Price { full } } }', grants('ship'))).toEqual([]);
    expect(refused('{ any { ... on Price { told } } }', grants('other'))).toEqual(['Price.told']);
  });

  it('leave a document that can be planned: without the fields, and with the type of what is abstract', () => {
    const access = accessTo('{ secret item { ...F } } fragment F on Item { t: title }');
    if (!access) throw new Error('nothing was protected');
    const { document, typenameAs } = access.without(access.refused(NOBODY));
    expect(print(document).replace(/\s+/g, ' ')).toBe(
      `{ item { ${typenameAs}: __typename ...F } } fragment F on Item { ${typenameAs}: __typename }`,
    );
    expect(access.without(access.refused(grants())).document).toBe(document);
  });
});
