// Access tokens: verified here, once per token and replica, and remembered until they expire.
//
//   Bearer … ─▶ known? ──yes──▶ expired? revoked? ─▶ AccessToken
//                 └─no─▶ ES256 signature by a key of the user service's JWKS, iss, aud, typ, exp ─▶ revocation keys read once ─▶ remember
//   Bearer key_… ─▶ api-keys.ts
//
// The algorithm is fixed and the key is found by `kid` in memory: nothing in a token's header is ever fetched
// or believed.

import { createHash } from 'node:crypto';
import type { PlanClaim, Role, Scope, Viewer } from '@taskflow/kit/identity';
import jsonwebtoken from 'jsonwebtoken';
import { LRUCache } from 'lru-cache';
import { type ApiKeys, isApiKey } from './api-keys.ts';
import { type Caller, scopesIn } from './callers.ts';
import { Refusal } from './exchange.ts';
import type { KeySet } from './key-set.ts';
import { planOf } from './plans.ts';
import type { Revocation } from './revocation.ts';

export interface AccessToken {
  viewer: Viewer;
  /** The same person as the access directives of a supergraph file see them. */
  caller: Caller;
  /** Membership epoch the token was issued at. */
  epoch: number;
  /** Milliseconds since the epoch; Infinity for an API key that never expires. */
  expiresAt: number;
  /** The plan of the organisation, as it was when the token was issued; null when it was not known. */
  plan: PlanClaim | null;
  /** Present when this is an API key, which has a rate limit of its own. */
  apiKey?: { requestsPerMinute: number };
}

export interface TokenVerifier {
  /**
   * Null for an absent header; a Refusal UNAUTHENTICATED, TOKEN_EXPIRED or SESSION_REVOKED for a bad token. `address` is the
   * client's, for those who guess.
   */
  verify(authorization: string | undefined, address: string): Promise<AccessToken | null>;
}

export interface TokenVerifierOptions {
  keys: KeySet;
  apiKeys: ApiKeys;
  issuer: string;
  audience: string;
  /** The claim that holds scopes beside those that every session has. */
  scopesClaim: string;
  revocation: Revocation;
}

/** The sessions of one replica that are in use at the same time; a forgotten one only costs a signature check. */
const REMEMBERED_MAX = 20_000;
/** Ours are about 500 characters. */
const TOKEN_LENGTH_MAX = 4_096;
/** Clocks of router and user service may differ by this much. */
const CLOCK_TOLERANCE_S = 5;
const ROLES: readonly unknown[] = ['ORG_ADMIN', 'MANAGER', 'MEMBER', 'GUEST'] satisfies Role[];

export function createTokenVerifier(options: TokenVerifierOptions): TokenVerifier {
  const { revocation } = options;
  // By hash, so that a heap dump holds no token that could be used.
  const remembered = new LRUCache<string, AccessToken>({ max: REMEMBERED_MAX });

  function checked(token: AccessToken): AccessToken {
    if (token.expiresAt <= Date.now()) throw expired();
    const reason = revocation.check(token);
    if (reason === 'SESSION_REVOKED') throw refusal(reason, 'The session was ended. Please sign in again.');
    if (reason) throw expired();
    return token;
  }

  return {
    async verify(authorization, address) {
      if (authorization === undefined || authorization === '') return null;
      const text = /^Bearer +([A-Za-z0-9._-]+)$/i.exec(authorization)?.[1];
      if (!text || text.length > TOKEN_LENGTH_MAX) throw unauthenticated();
      if (isApiKey(text)) return options.apiKeys.identify(text, address);
      const key = createHash('sha256').update(text).digest('base64');
      const known = remembered.get(key);
      if (known) return checked(known);
      const token = await verifyText(text, options);
      await revocation.learn(token);
      remembered.set(key, token, { ttl: Math.max(1, token.expiresAt - Date.now()) });
      return checked(token);
    },
  };
}

async function verifyText(
  text: string,
  { keys, issuer, audience, scopesClaim }: TokenVerifierOptions,
): Promise<AccessToken> {
  const header = jsonwebtoken.decode(text, { complete: true })?.header;
  // Any JSON may stand there: a header is text of the caller's until the signature is checked.
  if (header?.alg !== 'ES256' || String(header.typ).toLowerCase() !== 'at+jwt' || !header.kid)
    throw unauthenticated();
  const key = await keys.find(header.kid);
  if (!key) throw unauthenticated();
  let claims: unknown;
  try {
    claims = jsonwebtoken.verify(text, key, {
      algorithms: ['ES256'],
      issuer,
      audience,
      clockTolerance: CLOCK_TOLERANCE_S,
    });
  } catch (error) {
    throw error instanceof jsonwebtoken.TokenExpiredError ? expired() : unauthenticated();
  }
  return tokenOf(claims, scopesClaim);
}

/** What an API key may be limited to, a session may do: the subgraphs look at the role. */
const SESSION_SCOPES: readonly string[] = ['READ', 'WRITE', 'ADMIN'] satisfies Scope[];

function tokenOf(claims: unknown, scopesClaim: string): AccessToken {
  const given = (claims ?? {}) as Record<string, unknown>;
  const { sub, org_id, role, sid, ep, exp, plan } = given;
  const isComplete =
    isId(sub) &&
    isId(org_id) &&
    isId(sid) &&
    ROLES.includes(role) &&
    Number.isInteger(ep) &&
    Number.isFinite(exp);
  if (!isComplete) throw unauthenticated();
  return {
    viewer: { orgId: org_id, userId: sub, role: role as Role, sessionId: sid },
    caller: {
      scopes: new Set([...SESSION_SCOPES, ...scopesIn(given[scopesClaim])]),
      claims: given,
      expiresAt: (exp as number) * 1000,
    },
    epoch: ep as number,
    expiresAt: (exp as number) * 1000,
    plan: planOf(plan),
  };
}

function isId(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= 64;
}

function refusal(code: string, message: string): Refusal {
  return new Refusal(code, message, { status: 401, headers: { 'www-authenticate': 'Bearer' } });
}

/** One sentence for every kind of bad token: what is wrong with it helps only who forged it. */
function unauthenticated(): Refusal {
  return refusal('UNAUTHENTICATED', 'The access token is not valid. Please sign in.');
}

function expired(): Refusal {
  return refusal('TOKEN_EXPIRED', 'The access token has expired. Refresh it and try again.');
}
