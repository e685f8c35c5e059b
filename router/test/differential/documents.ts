// Random valid operations over a schema.
//
// What fast-check draws (and shrinks) is a recipe: a tree of small numbers that knows no schema. `documentOf` reads it
// against a schema, and every recipe is a valid document: numbers are taken modulo what there is to choose, smaller
// ones mean plainer things, and a name in the answer is only given where fields of that name can merge (`names.ts`).

import fc from 'fast-check';
import {
  type DocumentNode,
  type GraphQLCompositeType,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  isAbstractType,
  isCompositeType,
  isUnionType,
  parse,
} from 'graphql';
import { createArguments } from './arguments.ts';
import { createNames } from './names.ts';

export interface Recipe {
  readonly isMutation: boolean;
  readonly seed: number;
  readonly selections: readonly SelectionRecipe[];
}

export interface SelectionRecipe {
  /** Which field, type or fragment. */
  readonly pick: number;
  /** Which kind of selection, 0..99: most are fields. */
  readonly form: number;
  /** 0 = no alias, no condition, as few arguments as possible. */
  readonly name: number;
  readonly condition: number;
  readonly args: number;
  readonly selections: readonly SelectionRecipe[];
}

export interface RandomDocument {
  readonly text: string;
  readonly document: DocumentNode;
  readonly variables: Record<string, unknown>;
  /** Which kinds of things are in it. */
  readonly traits: ReadonlySet<Trait>;
}

export const traits = [
  'mutation',
  'alias',
  'alias shared by types',
  'variable',
  'argument',
  'condition',
  'inline fragment',
  'named fragment',
  'fragment used twice',
  'type condition on an abstract type',
  'repeated field',
  '__typename',
  'introspection',
  'several root fields',
] as const;
export type Trait = (typeof traits)[number];

const { selection } = fc.letrec<{ selection: SelectionRecipe }>((tie) => ({
  selection: fc.record({
    pick: fc.nat(997),
    form: fc.nat(99),
    name: fc.nat(99),
    condition: fc.nat(99),
    args: fc.nat(9999),
    selections: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constant([]),
      fc.array(tie('selection'), { maxLength: 4, depthIdentifier: 'selection' }),
    ),
  }),
}));

export const recipes: fc.Arbitrary<Recipe> = fc.record({
  isMutation: fc.nat(99).map((one) => one > 88),
  seed: fc.nat(9999),
  selections: fc.array(selection, { minLength: 1, maxLength: 4 }),
});

/** Deeper than this nothing but leaves is asked: with lists of up to three the answers stay small. */
const DEPTH_MAX = 7;

export function documentOf(schema: GraphQLSchema, recipe: Recipe): RandomDocument {
  const found = new Set<Trait>();
  const args = createArguments(recipe.seed, found);
  const names = createNames();
  const fragments: { name: string; on: GraphQLCompositeType; text: string }[] = [];

  const mutation = recipe.isMutation ? schema.getMutationType() : null;
  const root = mutation ?? (schema.getQueryType() as GraphQLObjectType);
  if (mutation) found.add('mutation');
  if (recipe.selections.length > 1) found.add('several root fields');

  function selectionSet(
    type: GraphQLCompositeType,
    wanted: readonly SelectionRecipe[],
    depth: number,
  ): string {
    if (wanted.length === 0 && isUnionType(type)) return '{ __typename }';
    const parts = (wanted.length ? wanted : [PLAIN]).map((one) => selectionOf(type, one, depth));
    if (isDrawnRepeat(wanted)) {
      found.add('repeated field');
      parts.push(parts[0] as string);
    }
    return `{ ${parts.join(' ')} }`;
  }

  function selectionOf(type: GraphQLCompositeType, one: SelectionRecipe, depth: number): string {
    const { form } = one;
    if (form >= 97 && type === schema.getQueryType()) return introspection(one);
    if (form >= 93) return typename(one);
    if (form >= 90 && fragments.length > 0) return oldFragment(type, one, depth);
    if (form >= 84) return newFragment(type, one, depth);
    if (form >= 81) {
      found.add('inline fragment');
      return `... ${condition(one) || '@include(if: true)'} ${selectionSet(type, one.selections, depth + 1)}`;
    }
    if (form >= 70 || isUnionType(type) || (form >= 45 && isAbstractType(type))) {
      return inlineFragment(type, one, depth);
    }
    return field(type, one, depth);
  }

  function typename(one: SelectionRecipe): string {
    found.add('__typename');
    return one.name > 60
      ? `kind${one.name % 2}: __typename ${condition(one)}`
      : `__typename ${condition(one)}`;
  }

  function inlineFragment(type: GraphQLCompositeType, one: SelectionRecipe, depth: number): string {
    found.add('inline fragment');
    const on = overlapping(type, one.pick);
    return `... on ${on} ${condition(one)} ${selectionSet(on, one.selections, depth + 1)}`;
  }

  function newFragment(type: GraphQLCompositeType, one: SelectionRecipe, depth: number): string {
    found.add('named fragment');
    const on = overlapping(type, one.pick);
    // It is listed when it is complete: a fragment never spreads itself.
    const text = selectionSet(on, one.selections, depth + 1);
    const name = `F${fragments.length}`;
    fragments.push({ name, on, text });
    return `...${name} ${condition(one)}`;
  }

  function oldFragment(type: GraphQLCompositeType, one: SelectionRecipe, depth: number): string {
    const fitting = fragments.filter(({ on }) => doOverlap(type, on));
    const chosen = fitting[one.pick % Math.max(fitting.length, 1)];
    if (!chosen) return field(type, one, depth);
    found.add('fragment used twice');
    return `...${chosen.name} ${condition(one)}`;
  }

  function field(type: GraphQLCompositeType, one: SelectionRecipe, depth: number): string {
    if (isUnionType(type)) return inlineFragment(type, one, depth);
    const all = Object.values(type.getFields());
    const composite = all.filter((each) => isCompositeType(getNamedType(each.type)));
    const leaves = all.filter((each) => !composite.includes(each));
    const isDeep = (one.selections.length > 0 || leaves.length === 0) && depth < DEPTH_MAX;
    const choices = isDeep && composite.length ? composite : leaves;
    const chosen = choices[one.pick % Math.max(choices.length, 1)];
    if (!chosen) return '__typename';
    const given = args.of(chosen, one.args);
    const name = names.nameFor(type, chosen, given, one.name);
    if (name !== chosen.name) found.add('alias');
    if (name.startsWith('same')) found.add('alias shared by types');
    const text = `${name === chosen.name ? '' : `${name}: `}${chosen.name}${given} ${condition(one)}`;
    const named = getNamedType(chosen.type);
    return isCompositeType(named) ? `${text} ${selectionSet(named, one.selections, depth + 1)}` : text;
  }

  function condition({ condition: drawn }: SelectionRecipe): string {
    if (drawn < 84) return '';
    found.add('condition');
    const skip = () => `@skip(if: ${args.boolean(drawn)})`;
    const include = () => `@include(if: ${args.boolean(drawn + 1)})`;
    return drawn < 90 ? skip() : drawn < 97 ? include() : `${skip()} ${include()}`;
  }

  function introspection({ pick, name }: SelectionRecipe): string {
    found.add('introspection');
    const types = Object.keys(schema.getTypeMap()).sort();
    const alias = name > 60 ? 'meta: ' : '';
    if (pick % 2) return `${alias}__schema { queryType { name } mutationType { name kind } }`;
    return `type${pick}: __type(name: "${types[pick % types.length]}") { name kind fields { name args { name } } possibleTypes { name } }`;
  }

  /** A type that a value of `type` may have as well: itself, a member, an interface. */
  function overlapping(type: GraphQLCompositeType, pick: number): GraphQLCompositeType {
    const choices = Object.values(schema.getTypeMap()).filter(
      (other): other is GraphQLCompositeType =>
        isCompositeType(other) && !other.name.startsWith('__') && doOverlap(type, other),
    );
    const chosen = choices[pick % choices.length] ?? type;
    if (isAbstractType(chosen)) found.add('type condition on an abstract type');
    return chosen;
  }

  function doOverlap(one: GraphQLCompositeType, other: GraphQLCompositeType): boolean {
    const others = objectTypes(other);
    return objectTypes(one).some((type) => others.includes(type));
  }

  function objectTypes(type: GraphQLCompositeType): readonly GraphQLObjectType[] {
    return isAbstractType(type) ? schema.getPossibleTypes(type) : [type];
  }

  const body = selectionSet(root, recipe.selections, 0);
  const keyword = mutation ? 'mutation' : 'query';
  const text = [
    `${keyword} Q${args.definitions()} ${body}`,
    ...fragments.map((one) => `fragment ${one.name} on ${one.on} ${one.text}`),
  ].join('\n');
  return { text, document: parse(text), variables: args.variables(), traits: found };
}

const PLAIN: SelectionRecipe = { pick: 0, form: 0, name: 0, condition: 0, args: 0, selections: [] };

function isDrawnRepeat(wanted: readonly SelectionRecipe[]): boolean {
  return wanted.length > 1 && (wanted[0]?.name ?? 0) % 17 === 16;
}
