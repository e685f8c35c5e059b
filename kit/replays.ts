/**
 * Each signed context is good for one call: whoever copies one off the wire, with the very bytes that it was made for,
 * cannot send both again.
 *
 *   seen by this process within the last minute? ── yes ──▶ refused
 *                                                └─ no ──▶ remembered until it has expired for certain
 *
 * Two generations of a minute each: a nonce is remembered for one to two minutes, a context lives for one at most.
 * (1,000 calls a second are about 10 MB.) Each replica of a subgraph remembers its own calls.
 */
import { CONTEXT_TTL_MAX_MS } from './identity.ts';

export interface Replays {
  /** True for the first call with this nonce, false for every other. */
  isFirst(nonce: string): boolean;
}

/** `now` is a seam for tests. */
export function createReplays(now: () => number = Date.now): Replays {
  let newer = new Set<string>();
  let older = new Set<string>();
  let turnedAt = now();

  function turn(): void {
    const sinceMs = now() - turnedAt;
    if (sinceMs < CONTEXT_TTL_MAX_MS) return;
    older = sinceMs < 2 * CONTEXT_TTL_MAX_MS ? newer : new Set();
    newer = new Set();
    turnedAt = now();
  }

  return {
    isFirst(nonce) {
      turn();
      if (newer.has(nonce) || older.has(nonce)) return false;
      newer.add(nonce);
      return true;
    },
  };
}
