// The fields of a selection, gathered as execution gathers them: fragments opened, fields of one response name merged.

import {
  type DocumentNode,
  type FieldNode,
  type GraphQLCompositeType,
  type GraphQLField,
  type GraphQLSchema,
  isAbstractType,
  isCompositeType,
  Kind,
  SchemaMetaFieldDef,
  type SelectionSetNode,
  TypeMetaFieldDef,
} from 'graphql';
import { fragmentsOf } from '../gateway/documents.ts';
import { isGiven, type Variables } from './arguments.ts';

export interface GatheredField {
  readonly field: GraphQLField<unknown, unknown>;
  readonly parentType: GraphQLCompositeType;
  readonly nodes: FieldNode[];
  /** All of them have to hold. */
  readonly conditions: readonly Condition[];
}

/** `@include(if: $variable)`, or its opposite. */
export interface Condition {
  readonly variable: string;
  readonly expected: boolean;
}

export interface GatheredFields {
  /** Whatever the object's type is. */
  readonly common: readonly GatheredField[];
  /** Of each possible type, what others have not. */
  readonly perType: readonly (readonly GatheredField[])[];
}

export type Gather = (type: GraphQLCompositeType, sets: readonly SelectionSetNode[]) => GatheredFields;

export const isMet = ({ variable, expected }: Condition, variables: Variables): boolean =>
  isGiven(variables, variable) ? variables[variable] === expected : true;

type Group = Map<string, GatheredField>;

/** For the selections of a document that is valid for the schema. */
export function createGather(schema: GraphQLSchema, document: DocumentNode): Gather {
  const fragments = fragmentsOf(document);

  function gather(
    parentType: GraphQLCompositeType,
    set: SelectionSetNode,
    conditions: readonly Condition[],
    into: readonly Group[],
    groups: Map<string, Group>,
  ): void {
    for (const selection of set.selections) {
      const own = conditionsOf(selection.directives, conditions);
      if (!own) continue;
      if (selection.kind === Kind.FIELD) {
        const field = fieldOf(schema, parentType, selection.name.value);
        if (!field) continue; // __typename
        const responseName = selection.alias?.value ?? selection.name.value;
        const key = own.length === 0 ? responseName : `${responseName} ${JSON.stringify(own)}`;
        for (const group of into) {
          const known = group.get(key);
          if (known) known.nodes.push(selection);
          else group.set(key, { field, parentType, nodes: [selection], conditions: own });
        }
        continue;
      }
      const fragment =
        selection.kind === Kind.FRAGMENT_SPREAD ? fragments.get(selection.name.value) : selection;
      if (!fragment) continue;
      const name = fragment.typeCondition?.name.value;
      const type = name === undefined ? parentType : schema.getType(name);
      if (!isCompositeType(type)) continue;
      gather(type, fragment.selectionSet, own, narrowed(parentType, type, into, groups), groups);
    }
  }

  /** The groups that the fields of a fragment on `type` belong to. */
  function narrowed(
    parentType: GraphQLCompositeType,
    type: GraphQLCompositeType,
    into: readonly Group[],
    groups: Map<string, Group>,
  ): readonly Group[] {
    if (type === parentType || !isAbstractType(parentType)) return into;
    if (isAbstractType(type)) {
      const parents = schema.getPossibleTypes(parentType);
      if (parents.every((possible) => schema.isSubType(type, possible))) return into;
    }
    const possible = isAbstractType(type) ? schema.getPossibleTypes(type) : [type];
    return possible
      .filter((one) => schema.isSubType(parentType, one))
      .map((one) => groupOf(groups, one.name));
  }

  return (type, sets) => {
    const common: Group = new Map();
    const groups = new Map<string, Group>();
    for (const set of sets) gather(type, set, [], [common], groups);
    return {
      common: [...common.values()],
      perType: [...groups.values()].map((group) => [...group.values()]),
    };
  };
}

function groupOf(groups: Map<string, Group>, type: string): Group {
  const known = groups.get(type);
  if (known) return known;
  const made: Group = new Map();
  groups.set(type, made);
  return made;
}

function fieldOf(schema: GraphQLSchema, type: GraphQLCompositeType, name: string) {
  if (type === schema.getQueryType()) {
    if (name === SchemaMetaFieldDef.name) return SchemaMetaFieldDef;
    if (name === TypeMetaFieldDef.name) return TypeMetaFieldDef;
  }
  return 'getFields' in type ? type.getFields()[name] : undefined;
}

/** The conditions that @skip and @include add; null when the selection is never there. */
function conditionsOf(
  directives: FieldNode['directives'],
  outer: readonly Condition[],
): readonly Condition[] | null {
  let conditions = outer;
  for (const { name, arguments: args } of directives ?? []) {
    if (name.value !== 'skip' && name.value !== 'include') continue;
    const expected = name.value === 'include';
    const value = args?.find((argument) => argument.name.value === 'if')?.value;
    if (value?.kind === Kind.BOOLEAN && value.value !== expected) return null;
    if (value?.kind === Kind.VARIABLE) conditions = [...conditions, { variable: value.name.value, expected }];
  }
  return conditions;
}
