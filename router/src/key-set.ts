// The public keys of access tokens, from the user service's JWKS.
//
//   every POLL_MS ─▶ fetched: a key that was published before it signs is known here when its first token arrives
//   unknown key id ─▶ fetched again, BURST at once and then one in REFILL_MS, whoever asks; all who wait share it
//
// So no flood of invented key ids costs the user service more than that, and none keeps out a genuine new key: its tokens
// wait for the next fetch instead of being refused. While the user service is away the keys that are known stay good.

import { createPublicKey, type KeyObject } from 'node:crypto';
import { createTroubles } from '@taskflow/kit/background';
import type { Log } from '@taskflow/kit/log';
import type { Dispatcher } from 'undici';
import { Refusal } from './exchange.ts';

export interface KeySet {
  /** The key of that id, or null. A SUBGRAPH_UNAVAILABLE Refusal when it is not known here and cannot be asked for. */
  find(kid: string): Promise<KeyObject | null>;
  /** Asks now and then from now on. */
  start(): void;
  stop(): void;
}

/** Well below the 30 s for which the user service publishes a key before it signs; also how long a withdrawn key stays good. */
const POLL_MS = 10_000;
/** Fetches for unknown key ids: five rotations in a row find their key at once. */
const BURST = 5;
const REFILL_MS = 1_000;
const FETCH_TIMEOUT_MS = 2_000;
/** Requests that wait for a fetch, about 2 kB each; beyond it they are told to come again. */
const WAITING_MAX = 2_000;
/** A key, its successor and whatever was retired within the hour. A JWKS of two keys has 500 bytes. */
const KEYS_MAX = 50;

export interface KeySetOptions {
  url: string;
  /** ES256 is what our user service signs with; `any` is for the issuers of others. */
  keyTypes: 'ES256' | 'any';
  dispatcher: Dispatcher;
  log: Log;
}

export function createKeySet(options: KeySetOptions): KeySet {
  const { url, keyTypes, dispatcher, log } = options;
  const bucket = createBucket(BURST, REFILL_MS);
  const troubles = createTroubles(log);
  let keys = new Map<string, KeyObject>();
  let isReachable = true;
  let current: Promise<void> | null = null;
  let next: Promise<void> | null = null;
  let waiting = 0;
  let timer: NodeJS.Timeout | null = null;

  async function fetchKeys(): Promise<void> {
    const fetched = await troubles.watch('fetching the key set', () => readKeys(url, keyTypes, dispatcher));
    isReachable = fetched !== undefined;
    keys = fetched ?? keys;
  }

  function fetchNow(): Promise<void> {
    current ??= fetchKeys().finally(() => {
      current = null;
    });
    return current;
  }

  /** A fetch that has not begun yet: whoever asks before it begins shares it. */
  function fetchNext(): Promise<void> {
    next ??= (async () => {
      await current;
      await bucket.take();
      next = null;
      await fetchNow();
    })();
    return next;
  }

  async function wait(fetching: Promise<void>): Promise<void> {
    if (waiting >= WAITING_MAX) throw unavailable();
    waiting++;
    await fetching.finally(() => waiting--);
  }

  return {
    async find(kid) {
      // What is on its way may have the key already.
      if (!keys.has(kid) && current) await wait(current);
      if (!keys.has(kid)) await wait(fetchNext());
      const found = keys.get(kid);
      if (!found && !isReachable) throw unavailable();
      return found ?? null;
    },
    start() {
      timer ??= setInterval(() => void fetchNow(), POLL_MS).unref();
    },
    stop() {
      if (timer) clearInterval(timer);
      timer = null;
    },
  };
}

/** `burst` at once, and one more in each `refillMs`. */
function createBucket(burst: number, refillMs: number) {
  let tokens = burst;
  let filledAt = performance.now();
  return {
    /** Resolves when one was taken. For one caller at a time. */
    async take(): Promise<void> {
      const now = performance.now();
      tokens = Math.min(burst, tokens + (now - filledAt) / refillMs);
      filledAt = now;
      const missing = 1 - tokens;
      tokens -= 1;
      if (missing > 0) await new Promise((resolve) => setTimeout(resolve, missing * refillMs));
    },
  };
}

function unavailable(): Refusal {
  return new Refusal(
    'SUBGRAPH_UNAVAILABLE',
    'Access tokens cannot be verified for a moment. Please try again.',
    { status: 503, retryable: true, retryAfterMs: REFILL_MS },
  );
}

async function readKeys(
  url: string,
  keyTypes: KeySetOptions['keyTypes'],
  dispatcher: Dispatcher,
): Promise<Map<string, KeyObject>> {
  const { origin, pathname, search } = new URL(url);
  const response = await dispatcher.request({
    origin,
    path: pathname + search,
    method: 'GET',
    headers: { accept: 'application/json' },
    signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
  });
  const body = (await response.body.json()) as { keys?: unknown };
  if (response.statusCode !== 200 || !Array.isArray(body.keys)) {
    throw new Error(`HTTP ${response.statusCode} without a key set`);
  }
  const keys = new Map<string, KeyObject>();
  for (const jwk of body.keys.slice(0, KEYS_MAX) as Record<string, unknown>[]) {
    if (typeof jwk.kid !== 'string' || !isAccepted(jwk, keyTypes)) continue;
    keys.set(jwk.kid, createPublicKey({ key: jwk, format: 'jwk' }));
  }
  return keys;
}

/** Encryption keys stand in the same sets; what cannot sign is passed over. */
function isAccepted(
  { kty, crv, use }: Record<string, unknown>,
  keyTypes: KeySetOptions['keyTypes'],
): boolean {
  if (keyTypes === 'ES256') return kty === 'EC' && crv === 'P-256';
  return (kty === 'RSA' || kty === 'EC') && use !== 'enc';
}
