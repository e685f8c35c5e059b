// What of a supergraph the planner (2.14) is known to plan wrongly, told when the file is loaded: such answers may be wrong
// without an error, and no executor can help what was not fetched. Each has its case in test/differential/known-answers.test.ts.

import {
  type ConstDirectiveNode,
  type FieldDefinitionNode,
  Kind,
  type ObjectTypeDefinitionNode,
  parse,
  valueFromASTUntyped,
} from 'graphql';

/** One sentence per field; none for most files. */
export function plannerHazards(sdl: string): string[] {
  if (!/\brequires\s*:/.test(sdl)) return [];
  return parse(sdl, { noLocation: true }).definitions.flatMap((type) =>
    type.kind === Kind.OBJECT_TYPE_DEFINITION || type.kind === Kind.INTERFACE_TYPE_DEFINITION
      ? hazardsOf({ ...type, kind: Kind.OBJECT_TYPE_DEFINITION } as ObjectTypeDefinitionNode)
      : [],
  );
}

function hazardsOf({ name, directives, fields = [] }: ObjectTypeDefinitionNode): string[] {
  const standIns = new Set(
    read(directives, 'join__type').flatMap(({ graph, isInterfaceObject }) =>
      isInterfaceObject === true ? [graph] : [],
    ),
  );
  const withRequires = new Set(fields.filter((field) => requirementsOf(field).length > 0).map(nameOf));
  return fields.flatMap((field) =>
    requirementsOf(field).flatMap(({ graph, requires }) => {
      const coordinate = `${name.value}.${nameOf(field)}`;
      const needed = String(requires).match(/\w+/g) ?? [];
      const found: string[] = [];
      if (String(requires).includes('(')) {
        found.push(`${coordinate} requires a field with arguments: wrong beside the same field with others`);
      }
      if (needed.some((one) => withRequires.has(one))) {
        found.push(
          `${coordinate} requires a field that requires others: wrong where its subgraph is asked first`,
        );
      }
      if (standIns.has(graph)) {
        found.push(
          `${coordinate} requires something in an @interfaceObject: wrong asked of some implementations`,
        );
      }
      return found;
    }),
  );
}

const nameOf = ({ name }: FieldDefinitionNode) => name.value;

const requirementsOf = ({ directives }: FieldDefinitionNode) =>
  read(directives, 'join__field').filter(({ requires }) => typeof requires === 'string');

function read(
  directives: readonly ConstDirectiveNode[] | undefined,
  name: string,
): Record<string, unknown>[] {
  return (directives ?? [])
    .filter((directive) => directive.name.value === name)
    .map(({ arguments: given = [] }) =>
      Object.fromEntries(given.map((one) => [one.name.value, valueFromASTUntyped(one.value)])),
    );
}
