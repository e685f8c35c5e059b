import { buildASTSchema, parse } from 'graphql';
import { expect, test } from 'vitest';
import { covers, createSharedFields, marksIn, reachOfOperation } from './shared.ts';

const SDL = parse(`
  directive @shared(by: shared__Scope!, roles: [String!]) on FIELD_DEFINITION
  enum shared__Scope { TENANT ROLE }
  type Query { _entities: [Entity]! secret: String thing: Thing @shared(by: TENANT) }
  type Mutation { change: Thing @shared(by: TENANT) }
  type Subscription { things(of: ID): Event @shared(by: ROLE, roles: ["ADMIN", "BOSS"]) all: Event @shared(by: TENANT) }
  union Event = Change | Beat
  union Entity = Thing
  type Change { thing: Thing @shared(by: TENANT) mine: Boolean! }
  type Beat { cursor: String! @shared(by: TENANT) }
  interface Named { name: String @shared(by: TENANT) }
  type Thing implements Named {
    name: String @shared(by: TENANT)
    place: String @shared(by: ROLE)
    worth: Int @shared(by: ROLE, roles: ["ADMIN"])
    canChange: Boolean!
    other(for: String): Named @shared(by: TENANT)
  }
  type Person implements Named { name: String }
`);
const schema = buildASTSchema(SDL);
const marks = marksIn(SDL);

function sharedAmong(text: string, operationName?: string): string {
  const reach = reachOfOperation(marks, schema, parse(text), operationName);
  if (reach === null) return 'one viewer';
  if (reach.by === 'TENANT') return 'tenant';
  return reach.roles === null ? 'any role' : [...reach.roles].join();
}

test('an operation is shared as its narrowest field is', () => {
  expect(sharedAmong('subscription { all { ... on Change { thing { name } } } }')).toBe('tenant');
  expect(sharedAmong('subscription { all { ... on Change { thing { name place } } } }')).toBe('any role');
  expect(sharedAmong('subscription { things { ... on Change { thing { place } } } }')).toBe('ADMIN,BOSS');
  expect(sharedAmong('subscription { things { ... on Change { thing { worth } } } }')).toBe('ADMIN');
});

test.each([
  ['a field without a mark', '{ ... on Change { mine } }'],
  ['one in a fragment', '{ ...Mine } } fragment Mine on Event { ... on Change { mine }'],
  ['one that is not asked for this time', '{ ... on Change { mine @include(if: false) } }'],
  ['one under an alias', '{ ... on Change { thing { name: canChange } } }'],
  ['one type of many behind an interface', '{ ... on Change { thing { other { name } } } }'],
])('%s leaves it to one viewer', (_, selection) => {
  expect(sharedAmong(`subscription { all ${selection} }`)).toBe('one viewer');
});

test('names of types are the same for all, and another operation of the document does not count', () => {
  const text = `subscription A { all { __typename ... on Beat { cursor } } } query B { secret }`;
  expect(sharedAmong(text, 'A')).toBe('tenant');
  expect(sharedAmong(text, 'B')).toBe('one viewer');
});

test('a mark that is not understood is none', () => {
  const odd = parse(
    'type Query { a: Int @shared(by: PLANET) b: Int @shared c: Int @shared(by: TENANT, roles: ["X"]) }',
  );
  expect(marksIn(odd).size).toBe(0);
});

test('a reach covers the roles that it names, everybody without a role only as the whole tenant', () => {
  const byRole = { by: 'ROLE', roles: null } as const;
  expect([covers({ by: 'TENANT' }, undefined), covers(byRole, undefined), covers(byRole, 'X')]).toEqual([
    true,
    false,
    true,
  ]);
  expect(covers({ by: 'ROLE', roles: new Set(['A']) }, 'B')).toBe(false);
  expect(covers(null, 'A')).toBe(false);
});

test('a group is answered subscriptions and entities of marked fields, and nothing else', () => {
  const shared = createSharedFields(SDL, schema);
  const may = (text: string, role?: string) => shared.areAllIn(parse(text), null, role);
  expect(may('{ _entities { ... on Thing { __typename name } } }')).toBe(true);
  expect(may('{ _entities { ... on Thing { worth } } }', 'ADMIN')).toBe(true);
  expect(may('{ _entities { ... on Thing { worth } } }', 'BOSS')).toBe(false);
  expect(may('{ _entities { ... on Thing { worth } } }')).toBe(false);
  expect(may('{ _entities { ... on Thing { canChange } } }', 'ADMIN')).toBe(false);
  expect(may('{ secret }', 'ADMIN')).toBe(false);
  expect(may('mutation { change { name } }', 'ADMIN')).toBe(false);
  expect(may('subscription { things { ... on Beat { cursor } } }', 'BOSS')).toBe(true);
});
