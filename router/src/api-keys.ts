// API keys: who stands behind `Bearer key_…`, asked of the user service by the key's hash and remembered for a moment.
//
//   key_<org>_<secret> ─▶ known, younger than FRESH_MS, not revoked ─────────────────────────────▶ its holder
//                      └▶ known to be nobody's, younger than ABSENT_MS ──────────────────────────▶ UNAUTHENTICATED
//                      └▶ not known ─▶ its turn (few calls at once) ─▶ user service: apiKeyIdentify ─┬──▶ its holder
//                                                                                                   └──▶ nobody: UNAUTHENTICATED,
//                                                                                  counted for the address; too many: RATE_LIMITED
//
// A revoked key, a suspended holder and a suspended organisation are refused at once (revocation.ts: the key's id stands as
// the session); a changed role makes the holder be asked for again. While the user service is away known keys stay good for
// STALE_MS.

import { createHash, randomUUID } from 'node:crypto';
import { CONTEXT_HEADER, type KeyRing, type Role, type Scope, signContext } from '@taskflow/kit/identity';
import type { Log } from '@taskflow/kit/log';
import { LRUCache } from 'lru-cache';
import { RateLimiterMemory } from 'rate-limiter-flexible';
import type { Dispatcher } from 'undici';
import { Refusal } from './exchange.ts';
import { planOf } from './plans.ts';
import type { Revocation } from './revocation.ts';
import { createGate } from './subscriptions/gate.ts';
import type { AccessToken } from './tokens.ts';

export interface ApiKeys {
  /** Whom a key stands for now. A Refusal UNAUTHENTICATED, SESSION_REVOKED, RATE_LIMITED or SUBGRAPH_UNAVAILABLE otherwise. */
  identify(text: string, address: string): Promise<AccessToken>;
}

export interface ApiKeysOptions {
  /** GraphQL address of the user service. */
  url: string;
  /** Signs the call to it. */
  ring: KeyRing;
  dispatcher: Dispatcher;
  revocation: Revocation;
  timeoutMs: number;
  log: Log;
}

/** How long a change that revocation does not tell (an expiry that was missed, a lost message) may go unnoticed. */
export const FRESH_MS = 30_000;
/** As for how long a revocation may go unnoticed when nobody can be asked and nothing is told. */
const STALE_MS = 60_000;
const ABSENT_MS = 10_000;
/** Keys in use at one replica at the same time; a forgotten one only costs a call. */
const REMEMBERED_MAX = 20_000;
/** A machine knows its key: whoever shows this many that nobody has is guessing. */
const UNKNOWN_MAX = 30;
const UNKNOWN_WINDOW_S = 60;
/** Calls at once, for however many addresses guess: a call takes two milliseconds. */
const CALLS_MAX = 16;
/** Those who wait for their turn, a second's work at most; beyond it they are told to come again. */
const WAITING_MAX = 2_000;
const RETRY_AFTER_MS = 1_000;

const SHAPE = /^key_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})_[A-Za-z0-9_-]{43}$/;
const QUERY = `query ApiKeyIdentify($organizationId: ID!, $hash: String!) {
  apiKeyIdentify(organizationId: $organizationId, hash: $hash) { id userId role epoch scopes requestsPerMinute expiresAt plan }
}`;

/** What the user service answers. */
interface Identity {
  id: string;
  userId: string;
  role: Role;
  epoch: number;
  scopes: Scope[];
  requestsPerMinute: number;
  expiresAt: string | null;
  /** A PlanClaim as JSON. */
  plan: string | null;
}

interface Known {
  token: AccessToken;
  askedAt: number;
}

export const isApiKey = (text: string): boolean => text.startsWith('key_');

export function createApiKeys(options: ApiKeysOptions): ApiKeys {
  const { revocation, log } = options;
  // By hash, so that a heap dump holds no key that could be used.
  const known = new LRUCache<string, Known>({ max: REMEMBERED_MAX });
  const absent = new LRUCache<string, true>({ max: REMEMBERED_MAX, ttl: ABSENT_MS });
  const asking = new Map<string, Promise<AccessToken | null>>();
  const misses = new RateLimiterMemory({ points: UNKNOWN_MAX, duration: UNKNOWN_WINDOW_S });
  const turns = createGate(CALLS_MAX);

  /** Null when nobody has the key. Those who ask at the same time share one call. `address`: of whom is not known yet. */
  function ask(orgId: string, hash: string, address: string | null): Promise<AccessToken | null> {
    const underway = asking.get(hash);
    if (underway) return underway;
    if (turns.status().waiting >= WAITING_MAX) return Promise.reject(unavailable());
    const answer = turns
      .run(async () => {
        // Looked at when its turn has come: a thousand guesses at once are no better than one after the other.
        if (address !== null) await refuseGuesser(address);
        const token = await askOnce(orgId, hash);
        if (!token && address !== null) await misses.penalty(address);
        return token;
      })
      .finally(() => asking.delete(hash));
    asking.set(hash, answer);
    return answer;
  }

  async function refuseGuesser(address: string): Promise<void> {
    const missed = await misses.get(address);
    if (missed && missed.consumedPoints >= UNKNOWN_MAX) throw tooManyGuesses(missed.msBeforeNext);
  }

  async function askOnce(orgId: string, hash: string): Promise<AccessToken | null> {
    const identity = await callUser(options, { organizationId: orgId, hash });
    if (!identity) {
      known.delete(hash);
      absent.set(hash, true);
      return null;
    }
    const token = tokenOf(orgId, identity);
    known.set(hash, { token, askedAt: performance.now() });
    // Watched for as long as it is not asked for again.
    await revocation.learn({ ...token, expiresAt: Math.min(token.expiresAt, Date.now() + 2 * STALE_MS) });
    return token;
  }

  /** The holder of a key that is known here already, as far as nobody else has to be asked. */
  function recall(hash: string): { token: AccessToken; isFresh: boolean } | null {
    const found = known.get(hash);
    if (!found) return null;
    const ageMs = performance.now() - found.askedAt;
    const reason = revocation.check(found.token);
    if (reason === 'SESSION_REVOKED') throw revoked();
    if (ageMs > STALE_MS || found.token.expiresAt <= Date.now()) return null;
    return { token: found.token, isFresh: reason === null && ageMs <= FRESH_MS };
  }

  return {
    async identify(text, address) {
      const orgId = SHAPE.exec(text)?.[1];
      if (!orgId) throw unauthenticated();
      const hash = createHash('sha256').update(text).digest('base64url');
      const recalled = recall(hash);
      if (recalled?.isFresh) return recalled.token;
      if (!recalled && absent.has(hash)) throw unauthenticated();
      try {
        const token = await ask(orgId, hash, recalled ? null : address);
        if (!token) throw unauthenticated();
        // Below the member's epoch as well means that the user service is behind what Redis says of it.
        const reason = revocation.check(token);
        if (reason === 'SESSION_REVOKED') throw revoked();
        if (reason) throw unavailable();
        return token;
      } catch (error) {
        if (error instanceof Refusal && error.code !== 'SUBGRAPH_UNAVAILABLE') throw error;
        const isGoodYet = recalled && revocation.check(recalled.token) === null;
        if (isGoodYet) return recalled.token;
        if (error instanceof Refusal) throw error;
        log.warn({ err: error }, 'the user service could not be asked for an API key');
        throw unavailable();
      }
    },
  };
}

function tokenOf(orgId: string, identity: Identity): AccessToken {
  const { id, userId, role, epoch, scopes, requestsPerMinute, plan } = identity;
  const expiresAt = identity.expiresAt === null ? Number.POSITIVE_INFINITY : Date.parse(identity.expiresAt);
  return {
    viewer: { orgId, userId, role, sessionId: id, scopes },
    caller: {
      scopes: new Set(scopes),
      claims: { sub: userId, org_id: orgId, role, sid: id },
      expiresAt,
    },
    epoch,
    expiresAt,
    plan: plan === null ? null : planOf(JSON.parse(plan)),
    apiKey: { requestsPerMinute },
  };
}

/** Null when nobody has the key; rejects when the answer is none. */
async function callUser(
  { url, ring, dispatcher, timeoutMs }: ApiKeysOptions,
  variables: { organizationId: string; hash: string },
): Promise<Identity | null> {
  const { origin, pathname, search } = new URL(url);
  const body = JSON.stringify({ query: QUERY, variables });
  const requestId = randomUUID();
  const context = signContext(ring, { viewer: null, requestId, audience: 'user' }, body);
  const response = await dispatcher.request({
    origin,
    path: pathname + search,
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json',
      'x-request-id': requestId,
      [CONTEXT_HEADER]: context,
    },
    body,
    signal: AbortSignal.timeout(timeoutMs),
  });
  const answer = (await response.body.json()) as { data?: { apiKeyIdentify?: Identity | null } | null };
  if (answer.data?.apiKeyIdentify === undefined)
    throw new Error(`HTTP ${response.statusCode} without an answer`);
  return answer.data.apiKeyIdentify;
}

function tooManyGuesses(msBeforeNext: number): Refusal {
  const retryAfterMs = Math.max(1, Math.ceil(msBeforeNext));
  return new Refusal('RATE_LIMITED', 'Too many API keys that do not exist were tried. Please slow down.', {
    status: 429,
    headers: { 'retry-after': String(Math.ceil(retryAfterMs / 1000)) },
    retryable: true,
    retryAfterMs,
  });
}

function refusal(code: string, message: string): Refusal {
  return new Refusal(code, message, { status: 401, headers: { 'www-authenticate': 'Bearer' } });
}

/** One sentence for garbage, an unknown key, an expired one, and one whose maker left. */
const unauthenticated = () => refusal('UNAUTHENTICATED', 'The API key is not valid.');

const revoked = () => refusal('SESSION_REVOKED', 'The API key was revoked, or may not be used any more.');

const unavailable = () =>
  new Refusal('SUBGRAPH_UNAVAILABLE', 'API keys cannot be checked for a moment. Please try again.', {
    status: 503,
    retryable: true,
    retryAfterMs: RETRY_AFTER_MS,
  });
