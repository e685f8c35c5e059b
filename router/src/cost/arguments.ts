// What a field's arguments say: how long its list will be, and what they cost themselves.

import {
  type FieldNode,
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputType,
  getNamedType,
  isInputObjectType,
  isListType,
  isNonNullType,
  valueFromAST,
  visit,
} from 'graphql';
import { Refusal } from '../exchange.ts';
import type { CostRules, ListSize } from './rules.ts';

/** Coerced by their types, defaults filled in. */
export type Variables = Readonly<Record<string, unknown>>;

/** A number, or how it follows from the variables. */
export type Evaluated = number | ((variables: Variables) => number);

export const isGiven = (variables: Variables, name: string): boolean => Object.hasOwn(variables, name);

/** An object that is given as an input, when the schema says nothing else. */
const INPUT_OBJECT_WEIGHT = 1;

/** The items of a list (or of the lists below) by its @listSize. */
export function compileSize(
  hint: ListSize,
  coordinate: string,
  field: GraphQLField<unknown, unknown>,
  node: FieldNode,
  listSize: number,
): Evaluated {
  const { slicingArguments, assumedSize, requireOne } = hint;
  const read = slicingArguments.flatMap(([name = '', ...path]) => {
    const argument = field.args.find((one) => one.name === name);
    return argument ? [{ value: valueReader(argument, node), path }] : [];
  });
  const evaluate = (variables: Variables): number => {
    const sizes = read
      .map(({ value, path }) => at(value.of(variables), path))
      .filter((size) => typeof size === 'number');
    if (requireOne && read.length > 0 && sizes.length !== 1)
      throw oneIsRequired(coordinate, slicingArguments);
    // A negative size is refused by whoever makes the list.
    return sizes.length > 0 ? Math.max(0, ...sizes) : (assumedSize ?? listSize);
  };
  return read.some(({ value }) => value.isVariable) || requireOne ? evaluate : evaluate({});
}

function oneIsRequired(coordinate: string, paths: ListSize['slicingArguments']): Refusal {
  const names = paths.map((path) => path.join('.')).join(', ');
  return new Refusal(
    'GRAPHQL_VALIDATION_FAILED',
    `${coordinate} needs exactly one of these arguments, which say how long its list is: ${names}.`,
  );
}

function at(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((inner, name) => (isRecord(inner) ? inner[name] : undefined), value);
}

/** What the arguments of a field cost: their weights, and the objects that are given in them. */
export function compileArguments(
  rules: CostRules,
  type: string,
  field: GraphQLField<unknown, unknown>,
  node: FieldNode,
): Evaluated {
  const costly = field.args.flatMap((argument) => {
    const weight = rules.weightOfArgument(type, field.name, argument.name);
    if (weight === null && !canCost(rules, argument.type)) return [];
    return [{ argument, weight: weight ?? 0, value: valueReader(argument, node) }];
  });
  if (costly.length === 0) return 0;
  const evaluate = (variables: Variables): number => {
    let total = 0;
    for (const { argument, weight, value } of costly) {
      const given = value.of(variables);
      if (given != null) total += weight * itemsOf(given) + costOfInput(rules, argument.type, given);
    }
    return total;
  };
  return costly.some(({ value }) => value.isVariable) ? evaluate : evaluate({});
}

function canCost(rules: CostRules, type: GraphQLInputType): boolean {
  const named = getNamedType(type);
  return isInputObjectType(named) || rules.weightOfType(named.name) !== null;
}

/** Objects cost 1, leaves nothing, unless the file gives them a weight; a weighted list counts by its items. */
function costOfInput(rules: CostRules, type: GraphQLInputType, value: unknown): number {
  if (value == null) return 0;
  if (isNonNullType(type)) return costOfInput(rules, type.ofType, value);
  if (isListType(type)) {
    if (!Array.isArray(value)) return costOfInput(rules, type.ofType, value);
    if (!canCost(rules, type.ofType)) return 0;
    return value.reduce<number>((total, item) => total + costOfInput(rules, type.ofType, item), 0);
  }
  const weight = rules.weightOfType(type.name);
  if (!isInputObjectType(type)) return weight ?? 0;
  let total = weight ?? INPUT_OBJECT_WEIGHT;
  if (!isRecord(value)) return total;
  const fields = type.getFields();
  for (const [name, inner] of Object.entries(value)) {
    const field = fields[name];
    if (!field || inner == null) continue;
    total += (rules.weightOfInputField(type.name, name) ?? 0) * itemsOf(inner);
    total += costOfInput(rules, field.type, inner);
  }
  return total;
}

const itemsOf = (value: unknown): number => (Array.isArray(value) ? value.length : 1);

/** The value of one argument of one field: its text's, a variable's, or the default. */
function valueReader(argument: GraphQLArgument, node: FieldNode) {
  const written = node.arguments?.find(({ name }) => name.value === argument.name)?.value;
  let isVariable = false;
  if (written) {
    visit(written, {
      Variable() {
        isVariable = true;
      },
    });
  }
  const of = (variables: Variables): unknown => {
    const value = written ? valueFromAST(written, argument.type, variables) : undefined;
    return value === undefined ? argument.defaultValue : value;
  };
  return { isVariable, of };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
