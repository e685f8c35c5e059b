/**
 * Rules for the SDL that composition does not know. Each function returns its complaints as sentences; an empty
 * list is agreement.
 */
import {
  type ConstDirectiveNode,
  type DocumentNode,
  type GraphQLNamedType,
  type GraphQLSchema,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  isSpecifiedScalarType,
  Kind,
  parse,
  visit,
} from 'graphql';

/**
 * Everything that a stranger can see has a description in full sentences. Read from the composed API, so that a
 * type which several subgraphs share is described once, by its owner.
 */
export function undescribed(api: GraphQLSchema): string[] {
  const complaints: string[] = [];
  const look = (name: string, description: string | null | undefined) => {
    const text = description?.trim();
    if (!text) complaints.push(`${name} has no description.`);
    else if (!/^[^a-z].*\.$/s.test(text))
      complaints.push(`${name} is not described in full sentences: "${text}"`);
  };
  for (const type of Object.values(api.getTypeMap())) {
    if (type.name.startsWith('__') || isSpecifiedScalarType(type)) continue;
    look(type.name, type.description);
    for (const [name, description] of describable(type)) look(`${type.name}.${name}`, description);
  }
  return complaints;
}

type Described = readonly [name: string, description: string | null | undefined];

function describable(type: GraphQLNamedType): Described[] {
  if (isEnumType(type)) return type.getValues().map((value) => [value.name, value.description]);
  if (isInputObjectType(type)) {
    return Object.values(type.getFields()).map((field) => [field.name, field.description]);
  }
  if (!isObjectType(type) && !isInterfaceType(type)) return [];
  return Object.values(type.getFields()).flatMap((field) => [
    [field.name, field.description] as Described,
    ...field.args.map((arg): Described => [`${field.name}(${arg.name})`, arg.description]),
  ]);
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
