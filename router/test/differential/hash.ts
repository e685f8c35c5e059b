// Everything drawn in this test is drawn from a text: equal texts draw equally in every process, at every call.

/** 32 bits of a text (FNV-1a, then the finisher of MurmurHash3, so that neighbours draw differently). */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** One of `choices`, which must not be empty. */
export function drawn<T>(choices: readonly T[], text: string): T {
  return choices[hashOf(text) % choices.length] as T;
}

/** True for `share` of all texts. */
export function isDrawn(share: number, text: string): boolean {
  return hashOf(text) / 2 ** 32 < share;
}

/** JSON with the keys of objects in order: one text for what means the same. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${entries
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([key, member]) => `${key}:${canonical(member)}`)
    .join(',')}}`;
}
