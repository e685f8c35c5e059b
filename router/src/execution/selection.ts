// What a client selected, by the specification's CollectFields: per runtime type, in the order of the text, with @skip
// and @include decided.

import {
  type DirectiveNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLCompositeType,
  type GraphQLSchema,
  isAbstractType,
  isCompositeType,
  Kind,
  type SelectionSetNode,
  type ValueNode,
} from 'graphql';

/** A document's operation with all that is constant for one run of it. */
export interface Selecting {
  readonly schema: GraphQLSchema;
  readonly fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  /** The value of an `if` argument. */
  readonly isTrue: (condition: ValueNode) => boolean;
  /** Whatever a condition says, what it stands at counts. */
  readonly isAlwaysIncluded?: boolean;
  /** What stands under @defer is left out: it is written as parts of its own. */
  readonly isWithoutDeferred?: boolean;
}

/** Fields by response key; several nodes when the text names a key more than once. */
export type CollectedFields = Map<string, FieldNode[]>;

export function collectFields(
  selecting: Selecting,
  type: GraphQLCompositeType,
  selectionSets: readonly SelectionSetNode[],
): CollectedFields {
  const fields: CollectedFields = new Map();
  const visited = new Set<string>();
  for (const selectionSet of selectionSets) collect(selecting, type, selectionSet, fields, visited);
  return fields;
}

function collect(
  selecting: Selecting,
  type: GraphQLCompositeType,
  selectionSet: SelectionSetNode,
  fields: CollectedFields,
  visited: Set<string>,
): void {
  for (const selection of selectionSet.selections) {
    if (!isIncluded(selecting, selection.directives)) continue;
    if (selection.kind === Kind.FIELD) {
      const key = selection.alias?.value ?? selection.name.value;
      const nodes = fields.get(key);
      if (nodes) nodes.push(selection);
      else fields.set(key, [selection]);
    } else if (selection.kind === Kind.INLINE_FRAGMENT) {
      const condition = selection.typeCondition?.name.value;
      if (condition === undefined || isOfType(selecting.schema, type, condition))
        collect(selecting, type, selection.selectionSet, fields, visited);
    } else {
      const name = selection.name.value;
      const fragment = selecting.fragments.get(name);
      if (!fragment || visited.has(name)) continue;
      visited.add(name);
      if (isOfType(selecting.schema, type, fragment.typeCondition.name.value))
        collect(selecting, type, fragment.selectionSet, fields, visited);
    }
  }
}

export function isIncluded(
  { isTrue, isAlwaysIncluded, isWithoutDeferred }: Selecting,
  directives: readonly DirectiveNode[] = [],
): boolean {
  if (isAlwaysIncluded) return true;
  if (isWithoutDeferred && directives.some(({ name }) => name.value === 'defer')) return false;
  for (const { name, arguments: args } of directives) {
    const condition = args?.[0]?.value;
    if (!condition) continue;
    if (name.value === 'skip' && isTrue(condition)) return false;
    if (name.value === 'include' && !isTrue(condition)) return false;
  }
  return true;
}

/** Whether a type is the named one or one of its possible types. */
export function isOfType(schema: GraphQLSchema, type: GraphQLCompositeType, condition: string): boolean {
  if (type.name === condition) return true;
  const other = schema.getType(condition);
  if (!isCompositeType(other) || !isAbstractType(other)) return false;
  return 'getFields' in type && schema.isSubType(other, type);
}
