// Places in the tree: from the path of a plan node to the objects there, and back to where they stand in the answer.

import type { ResponsePath } from './run.ts';
import { isInherited, isObject, type JsonObject, ownValue } from './values.ts';

/** One step of a plan's path: a key, and the runtime types that it goes on for. Lists are walked through. */
interface PathStep {
  readonly key: string | null;
  readonly isInherited: boolean;
  readonly types: ReadonlySet<string> | null;
}

export interface PlanPath {
  readonly steps: readonly PathStep[];
  /** Up to the first list: what all its places have in common. */
  readonly stem: ResponsePath;
}

/** `a.@.b|[T,U]`: the planner writes a list as `@`, and type conditions behind a bar. */
export function planPath(path: readonly (string | number)[]): PlanPath {
  const steps: PathStep[] = [];
  const stem: string[] = [];
  let isInList = false;
  for (const element of path) {
    const [name = '', condition] = String(element).split('|', 2);
    const types = condition ? new Set(condition.slice(1, -1).split(',')) : null;
    if (name === '@') isInList = true;
    else if (!isInList) stem.push(name);
    if (name !== '@' || types) {
      steps.push({ key: name === '@' ? null : name, isInherited: isInherited(name), types });
    }
  }
  return { steps, stem };
}

/** The objects at a path, in the order of the answer. What is below `shared` comes once, wherever it stands. */
export function objectsAt(root: JsonObject, { steps }: PlanPath, shared: ReadonlySet<object>): JsonObject[] {
  const found: Found = { objects: [], shared: shared.size > 0 ? shared : null, seen: new Set() };
  collect(root, steps, 0, found);
  return found.objects;
}

interface Found {
  readonly objects: JsonObject[];
  readonly shared: ReadonlySet<object> | null;
  readonly seen: Set<object>;
}

function collect(value: unknown, steps: readonly PathStep[], at: number, found: Found): void {
  if (typeof value !== 'object' || value === null) return;
  if (found.shared?.has(value)) {
    if (found.seen.has(value)) return;
    found.seen.add(value);
  }
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) collect(value[index], steps, at, found);
    return;
  }
  const object = value as JsonObject;
  const step = steps[at];
  if (!step) found.objects.push(object);
  else if (step.key === null) {
    if (isOneOf(object, step)) collect(object, steps, at + 1, found);
  } else {
    const next = step.isInherited ? ownValue(object, step.key) : object[step.key];
    if (step.types) collectTyped(next, step, steps, at + 1, found);
    else collect(next, steps, at + 1, found);
  }
}

function collectTyped(
  value: unknown,
  step: PathStep,
  steps: readonly PathStep[],
  at: number,
  found: Found,
): void {
  if (Array.isArray(value)) for (const item of value) collectTyped(item, step, steps, at, found);
  else if (isObject(value) && isOneOf(value, step)) collect(value, steps, at, found);
}

function isOneOf({ __typename }: JsonObject, { types }: PathStep): boolean {
  return types === null || (typeof __typename === 'string' && types.has(__typename));
}

/** Where objects stand in the answer: each place of each of them, `placesMax` in all. */
export function placesOf(
  root: JsonObject,
  { steps }: PlanPath,
  objects: ReadonlySet<object>,
  placesMax: number,
): ResponsePath[] {
  const places: ResponsePath[] = [];
  const path: (string | number)[] = [];
  walk(root, 0);
  return places;

  function walk(value: unknown, at: number): void {
    if (places.length >= placesMax || typeof value !== 'object' || value === null) return;
    if (Array.isArray(value)) {
      for (const [index, item] of value.entries()) {
        path.push(index);
        walk(item, at);
        path.pop();
      }
      return;
    }
    const step = steps[at];
    if (!step) {
      if (objects.has(value)) places.push([...path]);
    } else if (step.key === null) walk(value, at + 1);
    else {
      path.push(step.key);
      walk(ownValue(value as JsonObject, step.key), at + 1);
      path.pop();
    }
  }
}
