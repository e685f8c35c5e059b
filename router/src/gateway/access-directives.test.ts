import { buildSchema, parse } from 'graphql';
import { describe, expect, it } from 'vitest';
import { readAccessDirectives } from './access-directives.ts';

const TYPES = `
  type Query { a: String  secret: String @open  item: Item  any: Any  film: Film }
  interface Item { title: String }
  type Book implements Item { title: String @open }
  type Film implements Item @policed { title: String }
  union Any = Film`;
const LINKS = `schema
    @link(url: "https://specs.apollo.dev/link/v1.0")
    @link(url: "https://specs.apollo.dev/authenticated/v0.1", as: "open", for: SECURITY)
    @link(url: "https://specs.apollo.dev/policy/v0.1", as: "policed", for: SECURITY) { query: Query }
  directive @open on FIELD_DEFINITION | OBJECT
  directive @policed on FIELD_DEFINITION | OBJECT`;
const DIRECTIVES =
  'directive @link(url: String, as: String, for: Purpose) repeatable on SCHEMA enum Purpose { SECURITY }';

const schema = buildSchema(`${DIRECTIVES} ${LINKS} ${TYPES}`);
const read = readAccessDirectives(`${LINKS} ${TYPES}`);
const refused = (text: string, isAuthenticated: boolean) =>
  read.rules?.refusedField(schema, parse(text), isAuthenticated)?.coordinate ?? null;

describe('the access directives of a supergraph', () => {
  it('are taken over from the gateway, which would refuse them', () => {
    expect(read.sdl).not.toContain('SECURITY');
    expect(read.sdl).toContain('https://specs.apollo.dev/authenticated/v0.1');
  });

  it('leave a file that has none as it is', () => {
    expect(readAccessDirectives(TYPES)).toEqual({ sdl: TYPES, rules: null });
  });

  it.each<[string, string | null, string | null]>([
    ['{ a }', null, null],
    ['{ secret }', 'Query.secret', null],
    ['{ item { title } }', 'Book.title', 'Film'],
    ['{ item { ... on Book { title } } }', 'Book.title', null],
    ['{ film { title } }', 'Film', 'Film'],
    ['{ any { ... on Film { title } } }', 'Film', 'Film'],
    ['query A { a } query B { secret }', 'Query.secret', null],
    ['{ ...F } fragment F on Query { secret }', 'Query.secret', null],
  ])('keep %s from the anonymous (%s) and from the authenticated (%s)', (text, anonymous, authenticated) => {
    expect([refused(text, false), refused(text, true)]).toEqual([anonymous, authenticated]);
  });
});
