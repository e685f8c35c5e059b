// Reading, writing and merging the values that subgraphs answered with.
//
// Keys come from aliases and from subgraphs: any name may be one, `__proto__` and `constructor` included. Names that
// every object inherits are read with `ownValue`, and `__proto__` is never assigned but defined.

export type JsonObject = Record<string, unknown>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether a plain read of this key could find what every object inherits. */
export function isInherited(key: string): boolean {
  return key in Object.prototype;
}

export function ownValue(object: JsonObject, key: string): unknown {
  return isInherited(key) && !Object.hasOwn(object, key) ? undefined : object[key];
}

export function setOwn(object: JsonObject, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(object, key, { value, configurable: true, enumerable: true, writable: true });
  } else object[key] = value;
}

/** Takes over what `source` has, object by object; lists of equal length item by item, others as a whole. */
export function mergeInto(target: JsonObject, source: JsonObject): void {
  for (const key in source) {
    const given = source[key];
    if (given === undefined) continue;
    const present = key === '__proto__' ? ownValue(target, key) : target[key];
    if (typeof present !== 'object' || present === null || typeof given !== 'object' || given === null) {
      setOwn(target, key, given);
    } else if (present !== given) {
      mergeObjects(target, key, present, given);
    }
  }
}

function mergeObjects(target: JsonObject, key: string, present: object, given: object): void {
  if (isObject(present) && isObject(given)) mergeInto(present, given);
  else if (Array.isArray(present) && Array.isArray(given) && present.length === given.length) {
    mergeLists(present, given);
  } else setOwn(target, key, given);
}

function mergeLists(target: unknown[], source: readonly unknown[]): void {
  for (let at = 0; at < source.length; at++) {
    const present = target[at];
    const given = source[at];
    if (present === given) continue;
    if (isObject(present) && isObject(given)) mergeInto(present, given);
    else if (Array.isArray(present) && Array.isArray(given) && present.length === given.length) {
      mergeLists(present, given);
    } else target[at] = given;
  }
}

/** Characters that JSON writes otherwise than they are; lone surrogates among them, pairs too for simplicity. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON escapes exactly these
const ESCAPED = /["\\\u0000-\u001f\ud800-\udfff]/;

/** A string as JSON; what needs no escape is not searched twice. */
export function quoted(text: string): string {
  return ESCAPED.test(text) ? JSON.stringify(text) : `"${text}"`;
}

/** A value that came from JSON as JSON; "null" for what is not there. */
export function jsonOf(value: unknown): string {
  return typeof value === 'string' ? quoted(value) : (JSON.stringify(value) ?? 'null');
}
