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
  type GraphQLCompositeType,
  type GraphQLField,
  type GraphQLSchema,
  getNamedType,
  isAbstractType,
  isCompositeType,
  isListType,
  isNonNullType,
  isObjectType,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql';
import { compileArguments, compileSize, type Variables } from './arguments.ts';
import { actualOf, type CostField, type CostSet, costSet, requestedOf } from './cost-tree.ts';
import { INTROSPECTION_WEIGHT, type IntrospectionSizes } from './introspection.ts';
import type { CostRules } from './rules.ts';
import { createGather, type GatheredField, isMet } from './selections.ts';

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

/** Compiles an operation that is valid for the schema. */
export function compileCost(
  model: CostModel,
  document: DocumentNode,
  operation: OperationDefinitionNode,
): OperationCost {
  const { schema, rules, listSize } = model;
  const gather = createGather(schema, document);
  const mutationType = schema.getMutationType();

  /** `sized`: fields whose lists are as long as the field above says. */
  function compileSet(
    type: GraphQLCompositeType,
    sets: readonly SelectionSetNode[],
    sized: readonly string[],
  ): CostSet {
    const { common, perType } = gather(type, sets);
    const compiled = (fields: readonly GatheredField[]) =>
      fields.map((field) => compileField(field, sized)).filter((field) => field !== null);
    return costSet(compiled(common), perType.map(compiled));
  }

  /** Null: costs nothing. */
  function compileField(
    { field, parentType, nodes, conditions }: GatheredField,
    sized: readonly string[],
  ): CostField | null {
    const [node] = nodes;
    if (!node) return null;
    const namedType = getNamedType(field.type);
    const isIntrospection = namedType.name.startsWith('__');
    const hint = isIntrospection ? null : hintOf(rules, schema, parentType, field.name);
    const sets = nodes.flatMap(({ selectionSet }) => selectionSet ?? []);
    const children = isCompositeType(namedType) ? compileSet(namedType, sets, hint?.sizedFields ?? []) : null;
    const ownSize = hint && compileSize(hint, `${parentType.name}.${field.name}`, field, node, listSize);
    const levels = levelsOf(field.type);
    const compiled: CostField = {
      responseName: node.alias?.value ?? node.name.value,
      isIncluded:
        conditions.length > 0 ? (variables) => conditions.every((one) => isMet(one, variables)) : null,
      weight: isIntrospection ? introspectionWeight(children) : weightOf(parentType, field),
      argumentsCost: compileArguments(rules, parentType.name, field, node),
      isList: levels > 0,
      defaultSize: listSize,
      innerSize: listSize ** Math.max(0, levels - 1),
      size: isIntrospection ? model.introspection(parentType.name, field.name) : ownSize,
      isSizedByParent: sized.includes(field.name),
      sizesChildren: (hint?.sizedFields.length ?? 0) > 0,
      children,
    };
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

  const root = schema.getRootType(operation.operation);
  const tree = root ? compileSet(root, [operation.selectionSet], []) : costSet([], []);
  return {
    requested: (variables) => Math.ceil(requestedOf(tree, variables)),
    actual: (data, variables) => (data ? Math.ceil(actualOf(tree, data, variables)) : 0),
  };
}

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
