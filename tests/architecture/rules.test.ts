/** Everything that the supergraph offers has a rule that says who may; the rules are tried by tests/isolation. */
import { describe, expect, it } from 'vitest';
import { entities, fields, hidden, ids, isLater, operations, unions } from '../isolation/rules/table.ts';
import { readSubjects, type Subject } from '../isolation/supergraph-schema.ts';

const found = readSubjects();

const missing = (subjects: readonly Subject[], has: (key: string) => boolean): string[] =>
  subjects
    .filter(({ key }) => !has(key))
    .map(
      ({ key, file }) => `${key} has no rule: add it to tests/isolation/rules/${file}.ts (docs/isolation.md)`,
    );

const idle = (keys: Iterable<string>, subjects: readonly Subject[]): string[] => {
  const known = new Set(subjects.map(({ key }) => key));
  return [...keys]
    .filter((key) => !known.has(key))
    .map((key) => `${key} has a rule in tests/isolation/rules, and is not in the supergraph`);
};

const members = [...unions].flatMap(([name, types]) => types.map((type) => `${name}.${type}`));

describe('everything in the supergraph has a rule, and every rule something in the supergraph', () => {
  it.each([
    ['operations', found.operations, [...operations.keys()]],
    ['fields', found.fields, [...fields.keys()]],
    ['ids that a client may send', found.ids, [...ids.keys()]],
    ['members of unions and interfaces', found.members, members],
    ['entities', found.entities, [...entities.keys()]],
    ['fields that are not for clients', found.hidden, [...hidden.keys()]],
  ])('%s', (_, subjects, keys) => {
    const known = new Set(keys);
    expect([...missing(subjects, (key) => known.has(key)), ...idle(keys, subjects)]).toEqual([]);
  });
});

it('a new field, argument, member or entity without a rule is named together with the file to edit', () => {
  const text = `
    schema @link(url: "https://specs.apollo.dev/link/v1.0") @link(url: "https://specs.apollo.dev/join/v0.5", for: EXECUTION) { query: Query }
    directive @link(url: String, as: String, for: link__Purpose, import: [link__Import]) repeatable on SCHEMA
    directive @join__graph(name: String!, url: String!) on ENUM_VALUE
    directive @join__type(graph: join__Graph!, key: join__FieldSet, extension: Boolean! = false, resolvable: Boolean! = true, isInterfaceObject: Boolean! = false) repeatable on OBJECT | INTERFACE | UNION | ENUM | INPUT_OBJECT | SCALAR
    directive @join__field(graph: join__Graph, requires: join__FieldSet, provides: join__FieldSet, type: String, external: Boolean, override: String, usedOverridden: Boolean, overrideLabel: String, contextArguments: [join__ContextArgument!]) repeatable on FIELD_DEFINITION | INPUT_FIELD_DEFINITION
    directive @join__implements(graph: join__Graph!, interface: String!) repeatable on OBJECT | INTERFACE
    directive @join__unionMember(graph: join__Graph!, member: String!) repeatable on UNION
    directive @join__enumValue(graph: join__Graph!) repeatable on ENUM_VALUE
    directive @join__directive(graphs: [join__Graph!], name: String!, args: join__DirectiveArguments) repeatable on SCHEMA | OBJECT | INTERFACE | FIELD_DEFINITION
    scalar join__FieldSet scalar join__DirectiveArguments scalar join__FieldValue scalar link__Import
    input join__ContextArgument { name: String! type: String! context: String! selection: join__FieldValue! }
    enum link__Purpose { SECURITY EXECUTION }
    enum join__Graph { TASK @join__graph(name: "task", url: "") USER @join__graph(name: "user", url: "") }
    type Query @join__type(graph: TASK) @join__type(graph: USER) { leak(id: ID!): Leak @join__field(graph: TASK) }
    type Leak @join__type(graph: TASK, key: "id") @join__type(graph: USER, key: "id", resolvable: false) {
      id: ID!
      secret: String @join__field(graph: TASK)
    }`;
  const { operations, fields, ids, entities } = readSubjects(text);
  const nothing = () => false;
  expect([operations, fields, ids, entities].flatMap((subjects) => missing(subjects, nothing))).toEqual([
    'Query.leak has no rule: add it to tests/isolation/rules/task.ts (docs/isolation.md)',
    'Leak.id has no rule: add it to tests/isolation/rules/task.ts (docs/isolation.md)',
    'Leak.secret has no rule: add it to tests/isolation/rules/task.ts (docs/isolation.md)',
    'Query.leak.id has no rule: add it to tests/isolation/rules/task.ts (docs/isolation.md)',
    'task.Leak has no rule: add it to tests/isolation/rules/task.ts (docs/isolation.md)',
  ]);
});

it('counts what is left for later', () => {
  const rows = [
    ...[...operations.values()].map(({ roles }) => roles),
    ...fields.values(),
    ...entities.values(),
  ];
  const cells = rows.flatMap((row) => Object.values<unknown>(row));
  const waiting = cells.filter(isLater);
  console.log(
    `rules: ${rows.length} rows, ${cells.length} cells, ${waiting.length} of them for later; ${ids.size} ids`,
  );
  expect(cells.length).toBeGreaterThan(1_000);
});
