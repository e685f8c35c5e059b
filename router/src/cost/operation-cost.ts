// What an operation costs: IBM's static cost, compiled once per document.
//
//   cost(field)     = items × (weight + cost of its selections) + cost of its arguments
//   items           = 1, or for a list: the slicing argument (`first: 50`), else the assumed size, else the default
//   cost(selections)= the fields that every type has + those of the one possible type that costs most
//
// Variables only fill in slicing arguments, inputs, @skip and @include: whatever does not depend on them is a number after
// compiling, so a request walks a handful of nodes. The same tree, walked along an answer's data, tells what it really cost.
// Fields of one response name are merged as execution merges them, so that fragments which overlap are paid for once.

import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLCompositeType,
  type GraphQLField,
  type GraphQLSchema,
  getNamedType,
  isAbstractType,
  isCompositeType,
  isListType,
  isNonNullType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  SchemaMetaFieldDef,
  type SelectionSetNode,
  TypeMetaFieldDef,
} from 'graphql';
import { compileArguments, compileSize, type Evaluated, isGiven, type Variables } from './arguments.ts';
import { INTROSPECTION_WEIGHT, type IntrospectionSizes } from './introspection.ts';
import type { CostRules } from './rules.ts';

export interface OperationCost {
  /** The most it can cost with these coerced variables. A Refusal when a slicing argument that the schema requires is missing. */
  requested(variables: Variables): number;
  /** What an answer with this data has cost. */
  actual(data: Readonly<Record<string, unknown>> | null | undefined, variables: Variables): number;
}

export interface CostModel {
  schema: GraphQLSchema;
  rules: CostRules;
  introspection: IntrospectionSizes;
  /** Items of a list that the schema says nothing about. */
  listSize: number;
}

/** The weight of a mutation's root field, an object's and a leaf's, as Apollo's demand control has them. */
const MUTATION_WEIGHT = 10;
const OBJECT_WEIGHT = 1;

interface CostField {
  readonly responseName: string;
  /** By @skip and @include with variables. */
  readonly isIncluded: ((variables: Variables) => boolean) | null;
  readonly weight: number;
  readonly argumentsCost: Evaluated;
  /** Levels of lists around the value. */
  readonly listLevels: number;
  /** What its own @listSize says; null without one. */
  readonly size: Evaluated | null;
  /** Its lists are as long as `size` of the field above says. */
  readonly isSizedByParent: boolean;
  /** `size` is that of the fields below that are named so, not of the field's own list. */
  readonly sizesChildren: boolean;
  readonly children: CostSet | null;
}

interface CostSet {
  readonly common: readonly CostField[];
  /** Fields that only one of several possible types has. */
  readonly perType: readonly (readonly CostField[])[];
  /** Null: depends on variables, or on the size that the field above gives. */
  constant: number | null;
}

interface Gathered {
  readonly field: GraphQLField<unknown, unknown>;
  readonly parentType: GraphQLCompositeType;
  readonly nodes: FieldNode[];
  readonly conditions: readonly Condition[];
}

/** `@include(if: $variable)`, or its opposite. */
interface Condition {
  readonly variable: string;
  readonly expected: boolean;
}

type Group = Map<string, Gathered>;

/** Compiles an operation that is valid for the schema. */
export function compileCost(
  model: CostModel,
  document: DocumentNode,
  operation: OperationDefinitionNode,
): OperationCost {
  const { schema, rules, listSize } = model;
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  }
  const mutationType = schema.getMutationType();

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

  function compileSet(
    parentType: GraphQLCompositeType,
    sets: readonly SelectionSetNode[],
    sized: readonly string[],
  ) {
    const common: Group = new Map();
    const groups = new Map<string, Group>();
    for (const set of sets) gather(parentType, set, [], [common], groups);
    const compiled = (group: Group) =>
      [...group.values()].map((gathered) => compileField(gathered, sized)).filter((field) => field !== null);
    const set: CostSet = {
      common: compiled(common),
      perType: [...groups.values()].map(compiled).filter((fields) => fields.length > 0),
      constant: null,
    };
    const all = [...set.common, ...set.perType.flat()];
    if (all.every(isConstant)) set.constant = costOfSet(set, NO_VARIABLES, null);
    return set;
  }

  function compileField(
    { field, parentType, nodes, conditions }: Gathered,
    sized: readonly string[],
  ): CostField | null {
    const [node] = nodes;
    if (!node) return null;
    const namedType = getNamedType(field.type);
    const isIntrospection = namedType.name.startsWith('__');
    const hint = isIntrospection ? null : hintOf(rules, schema, parentType, field.name);
    const sets = nodes.flatMap(({ selectionSet }) => selectionSet ?? []);
    const children = isCompositeType(namedType) ? compileSet(namedType, sets, hint?.sizedFields ?? []) : null;
    const introspectionSize = isIntrospection ? model.introspection(parentType.name, field.name) : null;
    const compiled: CostField = {
      responseName: node.alias?.value ?? node.name.value,
      isIncluded:
        conditions.length > 0 ? (variables) => conditions.every((one) => isMet(one, variables)) : null,
      weight: isIntrospection ? introspectionWeight(children) : weightOf(parentType, field),
      argumentsCost: compileArguments(rules, parentType.name, field, node),
      listLevels: levelsOf(field.type),
      size:
        introspectionSize ??
        (hint ? compileSize(hint, `${parentType.name}.${field.name}`, field, node, listSize) : null),
      isSizedByParent: sized.includes(field.name),
      sizesChildren: (hint?.sizedFields.length ?? 0) > 0,
      children,
    };
    // A leaf without a weight, and without arguments that cost: nothing to remember.
    const isFree = compiled.weight === 0 && !children && compiled.argumentsCost === 0;
    return isFree ? null : compiled;
  }

  function weightOf(parentType: GraphQLCompositeType, field: GraphQLField<unknown, unknown>): number {
    const ofField = explicitWeight(rules, schema, parentType, field.name);
    if (ofField !== null) return ofField;
    const namedType = getNamedType(field.type);
    if (!isCompositeType(namedType)) {
      return rules.weightOfType(namedType.name) ?? (parentType === mutationType ? MUTATION_WEIGHT : 0);
    }
    const ofType = weightOfComposite(rules, schema, namedType);
    return parentType === mutationType ? Math.max(MUTATION_WEIGHT, ofType) : ofType;
  }

  function costOfSet(set: CostSet, variables: Variables, parentSize: number | null): number {
    if (set.constant !== null) return set.constant;
    const sum = (fields: readonly CostField[]) =>
      fields.reduce((total, field) => total + costOfField(field, variables, parentSize), 0);
    return sum(set.common) + Math.max(0, ...set.perType.map(sum));
  }

  function costOfField(field: CostField, variables: Variables, parentSize: number | null): number {
    if (field.isIncluded && !field.isIncluded(variables)) return 0;
    const size = field.size === null ? null : numberOf(field.size, variables);
    let items = 1;
    if (field.listLevels > 0) {
      const own = field.sizesChildren ? null : size;
      items =
        ((field.isSizedByParent ? parentSize : null) ?? own ?? listSize) * listSize ** (field.listLevels - 1);
    }
    const below = field.children
      ? costOfSet(field.children, variables, field.sizesChildren ? size : null)
      : 0;
    return items * (field.weight + below) + numberOf(field.argumentsCost, variables);
  }

  const root = schema.getRootType(operation.operation);
  const tree = root ? compileSet(root, [operation.selectionSet], []) : EMPTY;
  return {
    requested: (variables) => Math.ceil(costOfSet(tree, variables, null)),
    actual: (data, variables) => (data ? Math.ceil(actualOfSet(tree, data, variables)) : 0),
  };
}

const NO_VARIABLES: Variables = Object.freeze({});
const EMPTY: CostSet = { common: [], perType: [], constant: 0 };

const numberOf = (evaluated: Evaluated, variables: Variables): number =>
  typeof evaluated === 'number' ? evaluated : evaluated(variables);

function isConstant({ isIncluded, argumentsCost, size, isSizedByParent, children }: CostField): boolean {
  if (isIncluded || isSizedByParent || typeof argumentsCost !== 'number') return false;
  if (size !== null && typeof size !== 'number') return false;
  return (
    children === null ||
    children.constant !== null ||
    [...children.common, ...children.perType.flat()].every(isFixed)
  );
}

/** As constant, but for the size that the field above gives: a number, when that one is. */
const isFixed = (field: CostField): boolean => isConstant({ ...field, isSizedByParent: false });

function actualOfSet(set: CostSet, data: Readonly<Record<string, unknown>>, variables: Variables): number {
  let total = 0;
  const seen = new Set<string>();
  for (const field of [...set.common, ...set.perType.flat()]) {
    const value = data[field.responseName];
    // Of several types with a field of this name, the object is one.
    if (value === undefined || seen.has(field.responseName)) continue;
    seen.add(field.responseName);
    total += actualOfValue(field, value, variables) + numberOf(field.argumentsCost, variables);
  }
  return total;
}

function actualOfValue(field: CostField, value: unknown, variables: Variables): number {
  if (value === null) return 0;
  if (field.listLevels > 0 && Array.isArray(value)) {
    return value.reduce<number>((total, item) => total + actualOfValue(field, item, variables), 0);
  }
  if (!field.children) return field.weight;
  return field.weight + actualOfSet(field.children, value as Record<string, unknown>, variables);
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

const isMet = ({ variable, expected }: Condition, variables: Variables): boolean =>
  isGiven(variables, variable) ? variables[variable] === expected : true;

function levelsOf(type: unknown): number {
  let levels = 0;
  for (let inner = type; isNonNullType(inner) || isListType(inner); inner = inner.ofType) {
    if (isListType(inner)) levels++;
  }
  return levels;
}

/** The hint of a field; of an abstract type's the longest that a possible type has. */
function hintOf(rules: CostRules, schema: GraphQLSchema, type: GraphQLCompositeType, field: string) {
  const own = rules.listSize(type.name, field);
  if (own || !isAbstractType(type)) return own;
  const hints = schema
    .getPossibleTypes(type)
    .flatMap((possible) => rules.listSize(possible.name, field) ?? []);
  return hints.sort((a, b) => (b.assumedSize ?? 0) - (a.assumedSize ?? 0))[0] ?? null;
}

function explicitWeight(rules: CostRules, schema: GraphQLSchema, type: GraphQLCompositeType, field: string) {
  const own = rules.weightOfField(type.name, field);
  if (own !== null || !isAbstractType(type)) return own;
  return maxOf(schema.getPossibleTypes(type).map((possible) => rules.weightOfField(possible.name, field)));
}

function weightOfComposite(rules: CostRules, schema: GraphQLSchema, type: GraphQLCompositeType): number {
  if (isObjectType(type)) return rules.weightOfType(type.name) ?? OBJECT_WEIGHT;
  return Math.max(
    OBJECT_WEIGHT,
    maxOf(schema.getPossibleTypes(type).map((possible) => rules.weightOfType(possible.name))) ?? 0,
  );
}

function maxOf(weights: readonly (number | null)[]): number | null {
  const given = weights.filter((weight) => weight !== null);
  return given.length > 0 ? Math.max(...given) : null;
}

/** Leaves are free here as well. */
const introspectionWeight = (children: CostSet | null): number => (children ? INTROSPECTION_WEIGHT : 0);
