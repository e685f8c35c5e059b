/**
 * Rules for the SDL that composition does not know. Each function returns its complaints as sentences; an empty
 * list is agreement.
 */
import {
  type ConstDirectiveNode,
  type DocumentNode,
  Kind,
  parse,
  print,
  type StringValueNode,
  type TypeDefinitionNode,
  type TypeNode,
  visit,
} from 'graphql';

/**
 * Everything that a stranger can see has a description in full sentences. Read from the composed API, so that a
 * type which several subgraphs share is described once, by its owner.
 */
export function undescribed(api: DocumentNode): string[] {
  const complaints: string[] = [];
  const look = (name: string, description: StringValueNode | undefined) => {
    const text = description?.value.trim();
    if (!text) complaints.push(`${name} has no description.`);
    else if (!/^[^a-z].*\.$/s.test(text))
      complaints.push(`${name} is not described in full sentences: "${text}"`);
  };
  for (const type of api.definitions) {
    if (!isTypeDefinition(type)) continue;
    look(type.name.value, type.description);
    for (const [name, description] of partsOf(type)) look(`${type.name.value}.${name}`, description);
  }
  return complaints;
}

function isTypeDefinition(node: { kind: string }): node is TypeDefinitionNode {
  return node.kind.endsWith('TypeDefinition');
}

type Described = readonly [name: string, description: StringValueNode | undefined];

function partsOf(type: TypeDefinitionNode): Described[] {
  switch (type.kind) {
    case Kind.ENUM_TYPE_DEFINITION:
      return (type.values ?? []).map((value) => [value.name.value, value.description]);
    case Kind.INPUT_OBJECT_TYPE_DEFINITION:
      return (type.fields ?? []).map((field) => [field.name.value, field.description]);
    case Kind.OBJECT_TYPE_DEFINITION:
    case Kind.INTERFACE_TYPE_DEFINITION:
      return (type.fields ?? []).flatMap((field) => [
        [field.name.value, field.description] as Described,
        ...(field.arguments ?? []).map(
          (arg): Described => [`${field.name.value}(${arg.name.value})`, arg.description],
        ),
      ]);
    default:
      return [];
  }
}

/**
 * `@requires` may not select a field with arguments: the planner merges two such selections that differ only in
 * their arguments, and one of the two fields is computed from the other's value.
 */
export function requiresWithArguments(subgraph: string, document: DocumentNode): string[] {
  const complaints: string[] = [];
  visit(document, {
    FieldDefinition(field) {
      for (const directive of field.directives ?? []) {
        if (isRequires(directive) && selectsWithArguments(directive)) {
          complaints.push(
            `${subgraph}: @requires on "${field.name.value}" selects a field with arguments, which the planner ` +
              'answers wrongly. Give the value a field without arguments, and require that.',
          );
        }
      }
    },
  });
  return complaints;
}

function isRequires({ name }: ConstDirectiveNode): boolean {
  return name.value === 'requires' || name.value === 'federation__requires';
}

function selectsWithArguments(directive: ConstDirectiveNode): boolean {
  const fields = directive.arguments?.find(({ name }) => name.value === 'fields')?.value;
  if (fields?.kind !== Kind.STRING) return false;
  let found = false;
  visit(parse(`{ ${fields.value} }`), {
    Field(field) {
      if (field.arguments?.length) found = true;
    },
  });
  return found;
}

/**
 * `@shared` on a field that several subgraphs define must say the same in each, since composition keeps one of the marks; and
 * its roles must be roles, since a misspelt one would share nothing without a word.
 */
export function unevenShares(subgraphs: readonly { name: string; typeDefs: DocumentNode }[]): string[] {
  const roles = new Set(subgraphs.flatMap(({ typeDefs }) => valuesOfEnum(typeDefs, 'UserRole')));
  const marks = new Map<string, { name: string; mark: string }[]>();
  const complaints: string[] = [];
  for (const { name, typeDefs } of subgraphs) {
    for (const type of typeDefs.definitions) {
      if (type.kind !== Kind.OBJECT_TYPE_DEFINITION && type.kind !== Kind.INTERFACE_TYPE_DEFINITION) continue;
      for (const { name: field, directives = [] } of type.fields ?? []) {
        const coordinate = `${type.name.value}.${field.value}`;
        const shared = directives.find((directive) => directive.name.value === 'shared');
        const known = marks.get(coordinate) ?? [];
        marks.set(coordinate, [...known, { name, mark: shared ? print(shared) : 'no @shared' }]);
        complaints.push(...complaintsOf(coordinate, name, shared, roles));
      }
    }
  }
  for (const [coordinate, [first, ...others]] of marks) {
    const other = others.find(({ mark }) => mark !== first?.mark);
    if (first && other)
      complaints.push(
        `${coordinate} has ${first.mark} in ${first.name} and ${other.mark} in ${other.name}: say it alike.`,
      );
  }
  return complaints;
}

function complaintsOf(
  coordinate: string,
  subgraph: string,
  shared: ConstDirectiveNode | undefined,
  known: ReadonlySet<string>,
): string[] {
  const argumentOf = (name: string) =>
    shared?.arguments?.find((argument) => argument.name.value === name)?.value;
  const [by, roles] = [argumentOf('by'), argumentOf('roles')];
  if (roles?.kind !== Kind.LIST) return [];
  const named = roles.values.map((role) => (role.kind === Kind.STRING ? role.value : print(role)));
  const unknown = named.filter((role) => !known.has(role));
  return [
    ...(by?.kind === Kind.ENUM && by.value === 'ROLE'
      ? []
      : [`${subgraph}: ${coordinate} is shared by the tenant and names roles: only ROLE has some.`]),
    ...unknown.map((role) => `${subgraph}: ${coordinate} is shared by "${role}", which is no role.`),
  ];
}

function valuesOfEnum(document: DocumentNode, name: string): string[] {
  for (const type of document.definitions) {
    if (type.kind === Kind.ENUM_TYPE_DEFINITION && type.name.value === name)
      return (type.values ?? []).map((value) => value.name.value);
  }
  return [];
}

/**
 * Every list of objects says how long it is, or the field that holds it does: the router multiplies by it before anything
 * is asked for (IBM's @listSize). A connection is sized by the arguments that slice it.
 */
export function unsizedLists(subgraph: string, document: DocumentNode): string[] {
  const composite = new Set(
    document.definitions.filter(isComposite).map((definition) => definition.name.value),
  );
  const complaints: string[] = [];
  for (const type of document.definitions) {
    if (type.kind !== Kind.OBJECT_TYPE_DEFINITION && type.kind !== Kind.INTERFACE_TYPE_DEFINITION) continue;
    const isConnection = type.name.value.endsWith('Connection');
    for (const field of type.fields ?? []) {
      const place = `${subgraph}: ${type.name.value}.${field.name.value}`;
      const named = namedTypeOf(field.type);
      const hint = field.directives?.find(({ name }) => name.value === 'listSize');
      const given = new Map(hint?.arguments?.map(({ name, value }) => [name.value, print(value)]));
      if (named.endsWith('Connection')) {
        const slices = (field.arguments ?? []).filter(({ name }) => ['first', 'last'].includes(name.value));
        const wanted = `[${slices.map(({ name }) => `"${name.value}"`).join(', ')}]`;
        const isSized = given.get('slicingArguments') === wanted && given.has('assumedSize');
        if (!isSized || given.get('sizedFields') !== '["edges", "nodes"]') {
          complaints.push(
            `${place} is a connection: it needs @listSize(assumedSize: …, slicingArguments: ${wanted}, ` +
              'sizedFields: ["edges", "nodes"], requireOneSlicingArgument: false).',
          );
        }
      } else if (isList(field.type) && composite.has(named) && !isConnection && !given.has('assumedSize')) {
        complaints.push(`${place} is a list of objects: it needs @listSize(assumedSize: …).`);
      }
    }
  }
  return complaints;
}

function isComposite(node: { kind: string }): node is TypeDefinitionNode {
  const { OBJECT_TYPE_DEFINITION, INTERFACE_TYPE_DEFINITION, UNION_TYPE_DEFINITION } = Kind;
  return [OBJECT_TYPE_DEFINITION, INTERFACE_TYPE_DEFINITION, UNION_TYPE_DEFINITION].some(
    (kind) => kind === node.kind,
  );
}

function isList(type: TypeNode): boolean {
  return type.kind === Kind.LIST_TYPE || (type.kind === Kind.NON_NULL_TYPE && isList(type.type));
}

function namedTypeOf(type: TypeNode): string {
  return type.kind === Kind.NAMED_TYPE ? type.name.value : namedTypeOf(type.type);
}
