// Representations: what a fetch needs to know of an entity to ask its subgraph for more, as JSON text.
//
// Compiled per runtime type. Most need one fragment of plain fields, and are built as text; several fragments, or
// rewrites that do more than give the type another name, go through an object. An entity of which something required is
// not there, because an earlier fetch failed or found nothing, has no representation: nothing is asked, nothing invented. Nor has
// one of a type of which the plan requires something, but no whole key (a part of an `@interfaceObject`'s implementations).

import type {
  FetchDataRewrite,
  QueryPlanFieldNode,
  QueryPlanInlineFragmentNode,
  QueryPlanSelectionNode,
} from '@apollo/query-planner';
import { type GraphQLSchema, isCompositeType } from 'graphql';
import { applyRewrites } from './rewrites.ts';
import { isOfType } from './selection.ts';
import { isInherited, isObject, type JsonObject, jsonOf, mergeInto, ownValue, setOwn } from './values.ts';

/** The representation of an entity as JSON text; null when there is none. */
type Represent = (entity: JsonObject) => string | null;

/** Of entities of one runtime type. */
export interface Representation {
  readonly write: Represent;
  /** The fields that tell them apart, where these are plain: equal values make equal texts. Null: only the text tells. */
  readonly by: readonly string[] | null;
}

/** By runtime type. */
export function compileRepresentations(requirements: Requirements): (typename: unknown) => Representation {
  const byType = new Map<string, Representation>();
  return (typename) => {
    if (typeof typename !== 'string') return NOTHING;
    const known = byType.get(typename);
    if (known) return known;
    const made = forType(requirements, typename);
    // What subgraphs invent is not remembered.
    if (requirements.schema.getType(typename)) byType.set(typename, made);
    return made;
  };
}

const NOTHING: Representation = { write: () => null, by: null };

export interface Requirements {
  /** The supergraph's schema, with the types that clients do not see. */
  readonly schema: GraphQLSchema;
  readonly requires: readonly QueryPlanSelectionNode[];
  readonly inputRewrites: readonly FetchDataRewrite[];
  /** The keys of a type in the subgraph that is asked. */
  readonly keysOf: (type: string) => readonly (readonly string[])[];
}

function forType(requirements: Requirements, typename: string): Representation {
  const { schema, requires, inputRewrites, keysOf } = requirements;
  const fragments = requires.filter(
    (node): node is QueryPlanInlineFragmentNode =>
      node.kind === 'InlineFragment' && matches(schema, typename, node.typeCondition),
  );
  const [only] = fragments;
  if (!only) return NOTHING;
  const relevant = inputRewrites.filter(({ path }) => {
    const condition = path[0]?.startsWith('... on ') ? path[0].slice('... on '.length) : undefined;
    return condition === undefined || matches(schema, typename, condition);
  });
  const name = nameAfter(relevant.filter(isTypeName)) ?? typename;
  const hasKey = keyCheck(keysOf(name));
  if (!hasKey(new Set(fragments.flatMap(namesIn)))) return NOTHING;
  const isSimple = fragments.length === 1 && relevant.every(isTypeName) && only.selections.every(isPlain);
  if (isSimple) return writtenDirectly(only, name);
  return { write: throughObject(schema, fragments, relevant, hasKey), by: null };
}

function namesIn({ selections }: QueryPlanInlineFragmentNode): string[] {
  return selections.flatMap((node) => (node.kind === 'Field' ? [keyOf(node)] : namesIn(node)));
}

/** Whether these fields hold a whole key; where no key is known they do. */
function keyCheck(keys: readonly (readonly string[])[]): (fields: ReadonlySet<string>) => boolean {
  return (fields) => keys.length === 0 || keys.some((key) => key.every((field) => fields.has(field)));
}

const isTypeName = (rewrite: FetchDataRewrite) =>
  rewrite.kind === 'ValueSetter' &&
  rewrite.path.length === 2 &&
  rewrite.path[1] === '__typename' &&
  typeof rewrite.setValueTo === 'string';

/** No fragments on the way down. */
function isPlain(node: QueryPlanSelectionNode): boolean {
  return node.kind === 'Field' && (node.selections ?? []).every(isPlain);
}

function nameAfter(rewrites: readonly FetchDataRewrite[]): string | null {
  const last = rewrites.at(-1);
  return last?.kind === 'ValueSetter' ? last.setValueTo : null;
}

function matches(schema: GraphQLSchema, typename: string, condition: string | undefined): boolean {
  if (condition === undefined) return false;
  if (typename === condition) return true;
  const type = schema.getType(typename);
  return isCompositeType(type) && isOfType(schema, type, condition);
}

type WriteValue = (value: unknown) => string | null;

function writtenDirectly({ selections }: QueryPlanInlineFragmentNode, typename: string): Representation {
  const fields = selections as readonly QueryPlanFieldNode[];
  if (!fields.some((field) => keyOf(field) === '__typename')) return NOTHING;
  const telling = fields.filter((field) => keyOf(field) !== '__typename');
  const isPlain =
    telling.length > 0 && telling.every((field) => !field.selections && !isInherited(keyOf(field)));
  return { write: compileObject(fields, typename), by: isPlain ? telling.map(keyOf) : null };
}

/** `typename`: what `__typename` is written as; null: as it is. */
function compileObject(selections: readonly QueryPlanFieldNode[], typename: string | null): Represent {
  const fields = selections.map((field, at) => {
    const key = keyOf(field);
    const nested = field.selections as readonly QueryPlanFieldNode[] | undefined;
    return {
      key,
      prefix: `${at === 0 ? '{' : ','}${JSON.stringify(key)}:`,
      constant: key === '__typename' && typename !== null ? JSON.stringify(typename) : null,
      write: nested ? eachObject(compileObject(nested, null)) : jsonOf,
    };
  });
  return (entity) => {
    let text = '';
    for (const { key, prefix, constant, write } of fields) {
      if (constant !== null) {
        text += prefix + constant;
        continue;
      }
      const value = ownValue(entity, key);
      if (value === undefined) return null;
      const written = value === null ? 'null' : write(value);
      if (written === null) return null;
      text += prefix + written;
    }
    return `${text}}`;
  };
}

const keyOf = ({ alias, name }: QueryPlanFieldNode) => alias ?? name;

function eachObject(write: Represent): WriteValue {
  const each: WriteValue = (value) => {
    if (value === null) return 'null';
    if (isObject(value)) return write(value);
    if (!Array.isArray(value)) return null;
    const items = value.map(each);
    return items.includes(null) ? null : `[${items.join(',')}]`;
  };
  return each;
}

function throughObject(
  schema: GraphQLSchema,
  fragments: readonly QueryPlanInlineFragmentNode[],
  rewrites: readonly FetchDataRewrite[],
  hasKey: (fields: ReadonlySet<string>) => boolean,
): Represent {
  return (entity) => {
    const representation: JsonObject = {};
    for (const { selections } of fragments) {
      const selected = select(schema, entity, selections);
      if (selected !== undefined) mergeInto(representation, selected as JsonObject);
    }
    if (representation.__typename === undefined || !hasKey(new Set(Object.keys(representation)))) return null;
    applyRewrites(schema, rewrites, representation);
    return JSON.stringify(representation);
  };
}

/** A copy of what is selected; undefined when a part of it is missing. */
function select(
  schema: GraphQLSchema,
  value: unknown,
  selections: readonly QueryPlanSelectionNode[],
): unknown {
  if (value === null) return null;
  if (Array.isArray(value)) {
    const items = value.map((item) => select(schema, item, selections));
    return items.includes(undefined) ? undefined : items;
  }
  if (!isObject(value)) return undefined;
  const result: JsonObject = {};
  for (const node of selections) {
    if (node.kind === 'InlineFragment') {
      const typename = value.__typename;
      if (typeof typename !== 'string' || !matches(schema, typename, node.typeCondition)) continue;
      const part = select(schema, value, node.selections);
      if (part === undefined) return undefined;
      mergeInto(result, part as JsonObject);
      continue;
    }
    const given = ownValue(value, keyOf(node));
    const part =
      node.selections && given !== undefined ? select(schema, given, node.selections) : structured(given);
    if (part === undefined) return undefined;
    setOwn(result, keyOf(node), part);
  }
  return result;
}

/** Copied, for two fragments may name the same field and are merged. */
function structured(value: unknown): unknown {
  return typeof value === 'object' && value !== null ? structuredClone(value) : value;
}
