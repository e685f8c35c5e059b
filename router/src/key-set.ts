// The public keys of access tokens, from the user service's JWKS.
//
// Fetched when first needed, again for an unknown key id (at most once per interval, whoever asks), and now and then so
// that withdrawn keys go. While the user service is away the keys that are known stay good.

import { createPublicKey, type KeyObject } from 'node:crypto';
import type { Log } from '@taskflow/kit/log';
import type { Dispatcher } from 'undici';
import { Refusal } from './exchange.ts';

export interface KeySet {
  /** The key of that id, or null. A SUBGRAPH_UNAVAILABLE Refusal while no key was ever fetched and none can be. */
  find(kid: string): Promise<KeyObject | null>;
}

/** An invented key id costs the user service at most one request in this time. */
const UNKNOWN_KEY_INTERVAL_MS = 1_000;
/** How long a withdrawn key may stay good. */
const REFRESH_MS = 300_000;
const FETCH_TIMEOUT_MS = 2_000;
/** A JWKS of two keys has 500 bytes. */
const KEYS_MAX = 20;

export function createKeySet(options: { url: string; dispatcher: Dispatcher; log: Log }): KeySet {
  const { url, dispatcher, log } = options;
  let keys = new Map<string, KeyObject>();
  let triedAt = Number.NEGATIVE_INFINITY;
  let fetchedAt = Number.NEGATIVE_INFINITY;
  let fetching: Promise<void> | null = null;

  async function fetchKeys(): Promise<void> {
    try {
      keys = await readKeys(url, dispatcher);
      fetchedAt = performance.now();
    } catch (error) {
      log.warn({ err: error }, 'the key set could not be fetched: known keys stay');
    }
  }

  function refresh(): Promise<void> {
    triedAt = performance.now();
    fetching ??= fetchKeys().finally(() => {
      fetching = null;
    });
    return fetching;
  }

  return {
    async find(kid) {
      const now = performance.now();
      const mayTry = now - triedAt >= UNKNOWN_KEY_INTERVAL_MS;
      const known = keys.get(kid);
      if (known) {
        if (mayTry && now - fetchedAt >= REFRESH_MS) void refresh();
        return known;
      }
      if (fetching) await fetching;
      else if (mayTry) await refresh();
      const found = keys.get(kid);
      if (!found && keys.size === 0) {
        throw new Refusal(
          'SUBGRAPH_UNAVAILABLE',
          'Access tokens cannot be verified for a moment. Please try again.',
          {
            status: 503,
            retryable: true,
            retryAfterMs: UNKNOWN_KEY_INTERVAL_MS,
          },
        );
      }
      return found ?? null;
    },
  };
}

async function readKeys(url: string, dispatcher: Dispatcher): Promise<Map<string, KeyObject>> {
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
    if (jwk.kty !== 'EC' || jwk.crv !== 'P-256' || typeof jwk.kid !== 'string') continue;
    keys.set(jwk.kid, createPublicKey({ key: jwk, format: 'jwk' }));
  }
  return keys;
}
