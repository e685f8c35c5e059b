/** What schema/supergraph.graphql promises, as the table of rules must cover it. Each entry knows the file of its rule. */
import { readFileSync } from 'node:fs';
import { Supergraph } from '@apollo/federation-internals';
import {
  type ArgumentNode,
  type DirectiveNode,
  type DocumentNode,
  type GraphQLInputType,
  type GraphQLSchema,
  getNamedType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  isUnionType,
  Kind,
  parse,
} from 'graphql';

const SUPERGRAPH = new URL('../../schema/supergraph.graphql', import.meta.url);
const ROOTS = ['Query', 'Mutation', 'Subscription'] as const;

/** A thing that needs a rule, and the name of the file in `rules/` that should have it. */
export interface Subject {
  readonly key: string;
  readonly file: string;
}

export interface SupergraphSubjects {
  /** The schema that clients see. */
  readonly schema: GraphQLSchema;
  /** `Query.task` */
  readonly operations: readonly Subject[];
  /** `Task.title`, of objects and interfaces. */
  readonly fields: readonly Subject[];
  /** `Query.task.id`, `TaskUpdateInput.id`: every argument and input field whose type is ID. */
  readonly ids: readonly Subject[];
  /** `TaskEvent.TaskChange`: the members of unions, and the types of interfaces. */
  readonly members: readonly Subject[];
  /** `task.Task`: the entities that a subgraph answers. */
  readonly entities: readonly Subject[];
  /** `Query.apiKeyIdentify`: fields of types that clients see, which clients do not see. */
  readonly hidden: readonly Subject[];
}

export function readSubjects(text: string = readFileSync(SUPERGRAPH, 'utf8')): SupergraphSubjects {
  const schema = Supergraph.build(text).apiSchema().toGraphQLJSSchema();
  const owners = ownersOf(parse(text));
  const types = Object.values(schema.getTypeMap()).filter(({ name }) => !name.startsWith('__'));
  const isRoot = (name: string) => (ROOTS as readonly string[]).includes(name);
  const composites = types.filter((type) => isObjectType(type) || isInterfaceType(type));
  const entries = composites.flatMap((type) =>
    Object.values(type.getFields()).map((field) => ({ type: type.name, field })),
  );
  const subject = (key: string, type: string, field?: string): Subject => ({
    key,
    file: owners.fileOf(type, field),
  });
  const isId = (type: GraphQLInputType) => getNamedType(type).name === 'ID';

  return {
    schema,
    operations: entries
      .filter(({ type }) => isRoot(type))
      .map(({ type, field }) => subject(`${type}.${field.name}`, type, field.name)),
    fields: entries
      .filter(({ type }) => !isRoot(type))
      .map(({ type, field }) => subject(`${type}.${field.name}`, type, field.name)),
    ids: [
      ...entries.flatMap(({ type, field }) =>
        field.args
          .filter((arg) => isId(arg.type))
          .map((arg) => subject(`${type}.${field.name}.${arg.name}`, type, field.name)),
      ),
      ...types.filter(isInputObjectType).flatMap((type) =>
        Object.values(type.getFields())
          .filter((field) => isId(field.type))
          .map((field) => subject(`${type.name}.${field.name}`, type.name, field.name)),
      ),
    ],
    members: types.flatMap((type) => {
      const members = isUnionType(type)
        ? type.getTypes()
        : isInterfaceType(type)
          ? schema.getPossibleTypes(type)
          : [];
      return members.map((member) => subject(`${type.name}.${member.name}`, type.name));
    }),
    entities: owners.entities,
    hidden: owners.fields
      .filter(({ type, field }) => {
        const seen = schema.getType(type);
        return isObjectType(seen) && !(field in seen.getFields());
      })
      .map(({ type, field }) => subject(`${type}.${field}`, type, field)),
  };
}

/** Reads the join directives, by which composition says who owns what. */
function ownersOf(document: DocumentNode) {
  const types = new Map<string, string[]>();
  const fields = new Map<string, string[]>();
  const entities: Subject[] = [];
  const all: { type: string; field: string }[] = [];
  for (const node of document.definitions) {
    if (!('name' in node) || !node.name || !('directives' in node)) continue;
    const joins = named(node.directives, 'join__type');
    if (joins.length === 0) continue;
    const name = node.name.value;
    types.set(name, [...new Set(joins.map((join) => text(join, 'graph')))]);
    const answering = joins.filter(
      (join) => text(join, 'key') !== '' && text(join, 'resolvable') !== 'false',
    );
    for (const file of new Set(answering.map((join) => text(join, 'graph'))))
      entities.push({ key: `${file}.${name}`, file });
    if (!('fields' in node)) continue;
    for (const field of node.fields ?? []) {
      all.push({ type: name, field: field.name.value });
      const graphs = named(field.directives, 'join__field')
        .filter((join) => text(join, 'external') !== 'true')
        .map((join) => text(join, 'graph'));
      if (graphs.length > 0) fields.set(`${name}.${field.name.value}`, graphs);
    }
  }
  return {
    entities,
    fields: all,
    /** What several define alike is a convention; the key of an entity belongs to the file that is its own. */
    fileOf(type: string, field?: string): string {
      const all = types.get(type) ?? [];
      const own = (field === undefined ? undefined : fields.get(`${type}.${field}`)) ?? all;
      const [only, ...others] = own;
      if (only !== undefined && others.length === 0) return only;
      const answering = entities.filter(({ key }) => key.endsWith(`.${type}`));
      return answering.length === 1 ? (answering[0]?.file ?? '') : (HOMES[type] ?? 'conventions');
    },
  };
}

/** Entities that several subgraphs answer, and the file that has their `id`. */
const HOMES: Readonly<Record<string, string>> = {
  ...{ AuditLog: 'org', User: 'user', Organization: 'org', Project: 'org' },
};

const named = (directives: readonly DirectiveNode[] | undefined, name: string) =>
  (directives ?? []).filter((directive) => directive.name.value === name);

/** The value of an argument, in lower case; empty when absent. */
function text({ arguments: args = [] }: { arguments?: readonly ArgumentNode[] | undefined }, name: string) {
  const value = args.find((arg) => arg.name.value === name)?.value;
  if (!value) return '';
  if (value.kind === Kind.BOOLEAN) return String(value.value);
  return value.kind === Kind.ENUM || value.kind === Kind.STRING ? value.value.toLowerCase() : '';
}
