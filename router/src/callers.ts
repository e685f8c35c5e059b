// Callers with tokens of an issuer that is not ours, for the access directives of other people's supergraphs.
//
//   Bearer … ─▶ known? ──no──▶ signature by a key of the issuer's JWKS, iss, aud, exp ─▶ scopes and claims, remembered until it expires
//
// They are no viewers: nothing of them travels to a subgraph, and no tenant comes of them. The algorithm follows from the
// key, never from the token, and none of them is symmetric.

import { createHash, type KeyObject } from 'node:crypto';
import jsonwebtoken from 'jsonwebtoken';
import { LRUCache } from 'lru-cache';
import { Refusal } from './exchange.ts';
import type { KeySet } from './key-set.ts';

/** What the directives of a supergraph may ask about whoever calls. */
export interface Caller {
  readonly scopes: ReadonlySet<string>;
  readonly claims: Readonly<Record<string, unknown>>;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

export interface CallerVerifier {
  /** Null for an absent header; a Refusal UNAUTHENTICATED or TOKEN_EXPIRED for a bad token. */
  verify(authorization: string | undefined): Promise<Caller | null>;
}

export interface CallerVerifierOptions {
  keys: KeySet;
  issuer: string;
  audience: string;
  /** The claim that holds the scopes: words in one text (RFC 8693), or a list. */
  scopesClaim: string;
}

const REMEMBERED_MAX = 20_000;
/** Other issuers write more into a token than ours; beyond it lies no header that a proxy lets through. */
const TOKEN_LENGTH_MAX = 16_384;
const CLOCK_TOLERANCE_S = 5;
const RSA: jsonwebtoken.Algorithm[] = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
const OF_CURVE: Record<string, jsonwebtoken.Algorithm> = {
  prime256v1: 'ES256',
  secp384r1: 'ES384',
  secp521r1: 'ES512',
};

export function createCallerVerifier(options: CallerVerifierOptions): CallerVerifier {
  // By hash, so that a heap dump holds no token that could be used.
  const remembered = new LRUCache<string, Caller>({ max: REMEMBERED_MAX });
  return {
    async verify(authorization) {
      if (!authorization) return null;
      const text = /^Bearer +([A-Za-z0-9._-]+)$/i.exec(authorization)?.[1];
      if (!text || text.length > TOKEN_LENGTH_MAX) throw unauthenticated();
      const key = createHash('sha256').update(text).digest('base64');
      const caller = remembered.get(key) ?? (await verifyText(text, options));
      if (caller.expiresAt <= Date.now()) throw expired();
      remembered.set(key, caller, { ttl: Math.max(1, caller.expiresAt - Date.now()) });
      return caller;
    },
  };
}

async function verifyText(text: string, options: CallerVerifierOptions): Promise<Caller> {
  const { keys, issuer, audience, scopesClaim } = options;
  const kid = jsonwebtoken.decode(text, { complete: true })?.header?.kid;
  const key = kid ? await keys.find(kid) : null;
  if (!key) throw unauthenticated();
  let claims: unknown;
  try {
    claims = jsonwebtoken.verify(text, key, {
      algorithms: algorithmsOf(key),
      issuer,
      audience,
      clockTolerance: CLOCK_TOLERANCE_S,
    });
  } catch (error) {
    throw error instanceof jsonwebtoken.TokenExpiredError ? expired() : unauthenticated();
  }
  if (typeof claims !== 'object' || claims === null) throw unauthenticated();
  const given = claims as Record<string, unknown>;
  if (!Number.isFinite(given.exp)) throw unauthenticated();
  return { scopes: scopesIn(given[scopesClaim]), claims: given, expiresAt: Number(given.exp) * 1000 };
}

/** Words in one text, or a list of them; anything else holds none. */
export function scopesIn(claim: unknown): ReadonlySet<string> {
  const words = typeof claim === 'string' ? claim.split(' ') : Array.isArray(claim) ? claim : [];
  return new Set(words.filter((word) => typeof word === 'string' && word !== ''));
}

function algorithmsOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): jsonwebtoken.Algorithm[] {
  if (asymmetricKeyType === 'rsa') return RSA;
  const ofCurve = OF_CURVE[asymmetricKeyDetails?.namedCurve ?? ''];
  if (!ofCurve) throw unauthenticated();
  return [ofCurve];
}

function refusal(code: string, message: string): Refusal {
  return new Refusal(code, message, { status: 401, headers: { 'www-authenticate': 'Bearer' } });
}

const unauthenticated = () => refusal('UNAUTHENTICATED', 'The access token is not valid.');

const expired = () => refusal('TOKEN_EXPIRED', 'The access token has expired. Bring a new one.');
