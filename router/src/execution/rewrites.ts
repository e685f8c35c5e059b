// The planner's rewrites: values it sets in representations (`@interfaceObject`), keys it renames in answers (fields that
// would conflict in one fetch and therefore travel under an alias).

import type { FetchDataRewrite } from '@apollo/query-planner';
import type { GraphQLSchema } from 'graphql';
import { isCompositeType } from 'graphql';
import { isOfType } from './selection.ts';
import { isObject, type JsonObject, ownValue, setOwn } from './values.ts';

const ON = '... on ';

/** Rewrites below `value`, in place. Lists are walked through; a type condition holds where no type is told. */
export function applyRewrites(
  schema: GraphQLSchema,
  rewrites: readonly FetchDataRewrite[],
  value: unknown,
): void {
  for (const rewrite of rewrites) applyAt(schema, rewrite, 0, value);
}

function applyAt(schema: GraphQLSchema, rewrite: FetchDataRewrite, at: number, value: unknown): void {
  if (Array.isArray(value)) {
    for (const item of value) applyAt(schema, rewrite, at, item);
    return;
  }
  if (!isObject(value)) return;
  const element = rewrite.path[at] ?? '';
  if (element.startsWith(ON)) {
    if (hasType(schema, value, element.slice(ON.length))) applyAt(schema, rewrite, at + 1, value);
  } else if (at < rewrite.path.length - 1) applyAt(schema, rewrite, at + 1, ownValue(value, element));
  else if (rewrite.kind === 'ValueSetter') setOwn(value, element, rewrite.setValueTo);
  else rename(value, element, rewrite.renameKeyTo);
}

/** Every value is renamed, 0, false and null too. */
function rename(object: JsonObject, from: string, to: string): void {
  const value = ownValue(object, from);
  if (value === undefined) return;
  setOwn(object, to, value);
  setOwn(object, from, undefined);
}

function hasType(schema: GraphQLSchema, object: JsonObject, condition: string): boolean {
  const name = object.__typename;
  if (typeof name !== 'string') return true;
  if (name === condition) return true;
  const type = schema.getType(name);
  return isCompositeType(type) && isOfType(schema, type, condition);
}

/** What a path of a subgraph's error is called after the renaming. */
export function renamedKeys(rewrites: readonly FetchDataRewrite[]): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const rewrite of rewrites)
    if (rewrite.kind === 'KeyRenamer') names.set(rewrite.path.at(-1) ?? '', rewrite.renameKeyTo);
  return names;
}
