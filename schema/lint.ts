/**
 * Rules for the SDL that composition does not know. Each function returns its complaints as sentences; an empty
 * list is agreement.
 */
import {
  type ConstDirectiveNode,
  type DocumentNode,
  Kind,
  parse,
  type StringValueNode,
  type TypeDefinitionNode,
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
