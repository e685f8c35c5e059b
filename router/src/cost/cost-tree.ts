// A compiled operation's tree of costs, and the two walks along it: with variables, and with an answer's data.

import type { Evaluated, Variables } from './arguments.ts';

export interface CostField {
  readonly responseName: string;
  /** By @skip and @include with variables. */
  readonly isIncluded: ((variables: Variables) => boolean) | null;
  readonly weight: number;
  readonly argumentsCost: Evaluated;
  readonly isList: boolean;
  /** Items of its list when nothing says how many; of lists within a list, those of all but the outermost. */
  readonly defaultSize: number;
  readonly innerSize: number;
  /** What its own @listSize says; null without one. */
  readonly size: Evaluated | null;
  /** Its list is as long as `size` of the field above says. */
  readonly isSizedByParent: boolean;
  /** `size` is that of the fields below that are named so, not of the field's own list. */
  readonly sizesChildren: boolean;
  readonly children: CostSet | null;
}

export interface CostSet {
  readonly common: readonly CostField[];
  /** Fields that only one of several possible types has. */
  readonly perType: readonly (readonly CostField[])[];
  readonly all: readonly CostField[];
  /** Several of them have one response name: they belong to different types, or have different conditions. */
  readonly hasTwins: boolean;
  /** Null: depends on variables, or on the size that the field above gives. */
  readonly constant: number | null;
}

const NO_VARIABLES: Variables = Object.freeze({});

export function costSet(common: readonly CostField[], perType: readonly (readonly CostField[])[]): CostSet {
  const all = [...common, ...perType.flat()];
  const hasTwins = new Set(all.map(({ responseName }) => responseName)).size < all.length;
  const set = { common, perType, all, hasTwins, constant: null };
  return all.every(isConstant) ? { ...set, constant: requestedOf(set, NO_VARIABLES) } : set;
}

function isConstant(field: CostField): boolean {
  return !field.isSizedByParent && isFixed(field);
}

/** A number, when the size that the field above gives is one. */
function isFixed({ isIncluded, argumentsCost, size, children }: CostField): boolean {
  if (isIncluded || typeof argumentsCost !== 'number') return false;
  if (size !== null && typeof size !== 'number') return false;
  return children === null || children.constant !== null || children.all.every(isFixed);
}

/** The most that the selections can cost. */
export function requestedOf(set: CostSet, variables: Variables, parentSize: number | null = null): number {
  if (set.constant !== null) return set.constant;
  const sum = (fields: readonly CostField[]) =>
    fields.reduce((total, field) => total + requestedOfField(field, variables, parentSize), 0);
  return sum(set.common) + Math.max(0, ...set.perType.map(sum));
}

function requestedOfField(field: CostField, variables: Variables, parentSize: number | null): number {
  if (field.isIncluded && !field.isIncluded(variables)) return 0;
  const { children, sizesChildren } = field;
  const size = field.size === null ? null : numberOf(field.size, variables);
  const given = field.isSizedByParent ? parentSize : null;
  const items = field.isList
    ? (given ?? (sizesChildren ? null : size) ?? field.defaultSize) * field.innerSize
    : 1;
  const below = children ? requestedOf(children, variables, sizesChildren ? size : null) : 0;
  return items * (field.weight + below) + numberOf(field.argumentsCost, variables);
}

/** What the selections have cost, by the objects that are there. */
export function actualOf(
  set: CostSet,
  data: Readonly<Record<string, unknown>>,
  variables: Variables,
): number {
  let total = 0;
  const seen = set.hasTwins ? new Set<string>() : null;
  for (const field of set.all) {
    const value = data[field.responseName];
    // Of several types with a field of this name, the object is one.
    if (value === undefined || seen?.has(field.responseName)) continue;
    seen?.add(field.responseName);
    // Introspection may be there as a text, which costs what was asked for.
    if (field.children && typeof value === 'string') total += requestedOfField(field, variables, null);
    else total += actualOfValue(field, value, variables) + numberOf(field.argumentsCost, variables);
  }
  return total;
}

function actualOfValue(field: CostField, value: unknown, variables: Variables): number {
  if (value === null || value === undefined) return 0;
  if (field.isList && Array.isArray(value)) {
    let total = 0;
    for (const item of value) total += actualOfValue(field, item, variables);
    return total;
  }
  if (!field.children || typeof value !== 'object') return field.weight;
  return field.weight + actualOf(field.children, value as Record<string, unknown>, variables);
}

const numberOf = (evaluated: Evaluated, variables: Variables): number =>
  typeof evaluated === 'number' ? evaluated : evaluated(variables);
