// What the supergraph file says of costs: IBM's directives @cost and @listSize, as federation composes them.
//
// Composition keeps both in the file, under whatever names the subgraphs import them; of several weights it keeps the
// largest. What the file does not say has Apollo's defaults: an object 1, a leaf 0, a root field of a mutation 10.

import {
  type ConstDirectiveNode,
  type ConstValueNode,
  type DocumentNode,
  type FieldDefinitionNode,
  type InputValueDefinitionNode,
  Kind,
  type ObjectTypeDefinitionNode,
  valueFromASTUntyped,
} from 'graphql';

/** `@listSize` of a field: how long its list is, or those of the fields named by `sizedFields`. */
export interface ListSize {
  readonly assumedSize: number | null;
  /** Paths to arguments, `first` or `input.first`; the largest of those that are given counts. */
  readonly slicingArguments: readonly (readonly string[])[];
  readonly sizedFields: readonly string[];
  /** Exactly one slicing argument has to be given. */
  readonly requireOne: boolean;
}

export interface CostRules {
  /** The weight of an object, enum or scalar; null when the file gives it none. */
  weightOfType(type: string): number | null;
  /** The weight of a field: it takes the place of its type's. */
  weightOfField(type: string, field: string): number | null;
  listSize(type: string, field: string): ListSize | null;
  weightOfArgument(type: string, field: string, argument: string): number | null;
  /** The weight of an input field; of one that is a list, of each of its items. */
  weightOfInputField(type: string, field: string): number | null;
}

const SPEC = 'https://specs.apollo.dev/cost/';

/** Reads a supergraph file. Without the directives there are only defaults. */
export function readCostRules(supergraph: DocumentNode): CostRules {
  const names = directiveNames(supergraph);
  const weights = new Map<string, number>();
  const sizes = new Map<string, ListSize>();

  function note(coordinate: string, directives: readonly ConstDirectiveNode[] = []): void {
    for (const directive of directives) {
      if (directive.name.value === names.cost) {
        const weight = Number(argumentOf(directive, 'weight'));
        if (Number.isFinite(weight)) weights.set(coordinate, weight);
      } else if (directive.name.value === names.listSize) sizes.set(coordinate, listSizeOf(directive));
    }
  }
  function noteInputs(coordinate: string, inputs: readonly InputValueDefinitionNode[] = []): void {
    for (const { name, directives } of inputs) note(`${coordinate}.${name.value}`, directives);
  }
  for (const definition of supergraph.definitions) {
    if (!names.cost && !names.listSize) break;
    if (!('name' in definition) || !definition.name || !('directives' in definition)) continue;
    const type = definition.name.value;
    note(type, definition.directives as readonly ConstDirectiveNode[]);
    if (definition.kind === Kind.INPUT_OBJECT_TYPE_DEFINITION) noteInputs(type, definition.fields);
    if (!hasFields(definition)) continue;
    for (const field of definition.fields ?? []) {
      note(`${type}.${field.name.value}`, field.directives);
      noteInputs(`${type}.${field.name.value}`, field.arguments);
    }
  }
  const weight = (coordinate: string) => weights.get(coordinate) ?? null;
  return {
    weightOfType: weight,
    weightOfField: (type, field) => weight(`${type}.${field}`),
    listSize: (type, field) => sizes.get(`${type}.${field}`) ?? null,
    weightOfArgument: (type, field, argument) => weight(`${type}.${field}.${argument}`),
    weightOfInputField: (type, field) => weight(`${type}.${field}`),
  };
}

function hasFields(node: { kind: string }): node is { kind: string } & Pick<
  ObjectTypeDefinitionNode,
  'fields'
> & {
    fields?: readonly FieldDefinitionNode[];
  } {
  return node.kind === Kind.OBJECT_TYPE_DEFINITION || node.kind === Kind.INTERFACE_TYPE_DEFINITION;
}

/** The names under which the file has the two directives, by its `@link` to their specification; null for none. */
function directiveNames(supergraph: DocumentNode): { cost: string | null; listSize: string | null } {
  for (const definition of supergraph.definitions) {
    if (definition.kind !== Kind.SCHEMA_DEFINITION && definition.kind !== Kind.SCHEMA_EXTENSION) continue;
    for (const link of definition.directives ?? []) {
      const url = argumentOf(link, 'url');
      if (link.name.value !== 'link' || typeof url !== 'string' || !url.startsWith(SPEC)) continue;
      const space = String(argumentOf(link, 'as') ?? 'cost');
      const imports = (argumentOf(link, 'import') ?? []) as (string | { name: string; as?: string })[];
      const named = (name: string, otherwise: string) => {
        const found = imports.find((item) => (typeof item === 'string' ? item : item.name) === `@${name}`);
        if (!found) return otherwise;
        return (typeof found === 'string' ? found : (found.as ?? found.name)).slice(1);
      };
      // A directive of the specification's own name is not prefixed with it.
      return { cost: named('cost', space), listSize: named('listSize', `${space}__listSize`) };
    }
  }
  return { cost: null, listSize: null };
}

function listSizeOf(directive: ConstDirectiveNode): ListSize {
  const assumedSize = argumentOf(directive, 'assumedSize');
  const slicing = (argumentOf(directive, 'slicingArguments') ?? []) as string[];
  return {
    assumedSize: typeof assumedSize === 'number' ? assumedSize : null,
    slicingArguments: slicing.map((path) => path.split('.')),
    sizedFields: (argumentOf(directive, 'sizedFields') ?? []) as string[],
    requireOne: slicing.length > 0 && argumentOf(directive, 'requireOneSlicingArgument') !== false,
  };
}

function argumentOf(directive: ConstDirectiveNode, name: string): unknown {
  const value: ConstValueNode | undefined = directive.arguments?.find(
    (arg) => arg.name.value === name,
  )?.value;
  return value ? valueFromASTUntyped(value) : undefined;
}
