/**
 * Who is calling, proved on the hop between router and subgraph.
 *
 *   router ── taskflow-context: v1.<key id>.<claims>.<mac> ──▶ subgraph        one per call, ≤ 60 s
 *   router ◀── taskflow-established: v1.<key id>.<claims>.<mac> ── subgraph     after a credential mutation
 *
 * HMAC-SHA256 over the label and the first three parts; each subgraph has a key of its own, so that none can
 * forge for another. The claims name the audience, an expiry, the hash of the exact bytes of the call and a nonce, so
 * that the same call cannot be sent twice (replays.ts).
 * A key ring holds up to two keys while rotating: the first signs, all verify. (measured: about 6 µs a side)
 */
import { createHmac, createSecretKey, hash, type KeyObject, randomBytes, timingSafeEqual } from 'node:crypto';
import type { KeyRing } from './config.ts';

export type { KeyRing } from './config.ts';

export const CONTEXT_HEADER = 'taskflow-context';
export const ESTABLISHED_HEADER = 'taskflow-established';
/** How many statements an explained call has sent to the database. */
export const STATEMENTS_HEADER = 'taskflow-statements';

export type Role = 'ORG_ADMIN' | 'MANAGER' | 'MEMBER' | 'GUEST';

/** What an API key may do, of what its maker may: read, do everyday work, administer. */
export type Scope = 'READ' | 'WRITE' | 'ADMIN';

/** The acting person within one organisation, as the router authenticated them. */
export interface Viewer {
  readonly orgId: string;
  readonly userId: string;
  readonly role: Role;
  readonly sessionId: string;
  /** Present when an API key acts for the person (the session is then the key's id), and all that it may do. */
  readonly scopes?: readonly Scope[];
}

/**
 * Everybody of one role, or of the whole organisation: for whom what the SDL marks `@shared` is read once. Nobody acts as a
 * group, and it has nothing of its own.
 */
export interface ViewerGroup {
  readonly orgId: string;
  readonly role?: Role;
  readonly userId?: undefined;
}

/** For whom something is read. */
export type Reader = Viewer | ViewerGroup;

/** A reader who is known to have a role. */
export type RoleReader = Viewer | (ViewerGroup & { readonly role: Role });

/**
 * What the plan of an organisation means to the router: the claim `plan` of access tokens. Times are milliseconds since the
 * epoch; a number of calls is by calendar month (UTC), null being no limit.
 */
export interface PlanClaim {
  readonly name: string;
  /** The window of the contract: from `from` until `until`, null being for ever. */
  readonly from: number;
  readonly until: number | null;
  /** Calls within the window, and outside of it. */
  readonly calls: number | null;
  readonly otherwise: number | null;
  /** A newer one counts. */
  readonly version: number;
}

/** What the router tells a subgraph about one call. `viewer` is null for an anonymous request. */
export interface ContextClaims {
  readonly viewer: Viewer | null;
  /** For what is read once for many. Then there is no viewer, and only marked fields are answered (shared.ts). */
  readonly viewerGroup?: ViewerGroup | undefined;
  readonly requestId: string;
  /** The subgraph's name: `task`. */
  readonly audience: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
  /** SHA-256 of the exact bytes, base64url. */
  readonly bodyHash: string;
  /** Different in every context. */
  readonly nonce: string;
  /**
   * How long the router waits for this call. A duration, so that no two clocks have to agree: the subgraph counts it from
   * the arrival of the call, and ends its work when it is over. Absent: as long as the subgraph's own limits allow.
   */
  readonly deadlineMs?: number | undefined;
  readonly clientAddress?: string | undefined;
  readonly userAgent?: string | undefined;
  readonly locale?: string | undefined;
  /** The name of the plan that is in force. */
  readonly plan?: string | undefined;
  readonly idempotencyKey?: string | undefined;
  readonly minSyncId?: string | undefined;
  readonly operationName?: string | undefined;
  /** The client wants its answer explained: the call's statements are counted, and told in STATEMENTS_HEADER. */
  readonly isExplained?: boolean | undefined;
  /** To the subgraph that signs people in: tokens go back in the established header, not in the payload. */
  readonly tokensAsCookies?: boolean | undefined;
  /** The refresh token of the cookie, for a `tokenRefresh` that names none. */
  readonly refreshToken?: string | undefined;
}

/** Tokens that the router hands to a browser as cookies. Moments are milliseconds since the epoch. */
export interface EstablishedTokens {
  readonly accessToken: string;
  readonly accessTokenExpiresAt: number;
  readonly refreshToken: string;
  readonly refreshTokenExpiresAt: number;
}

/** What a credential mutation established. */
export interface Established {
  readonly viewer: Viewer;
  /** Present when the router asked for them (`tokensAsCookies`). */
  readonly tokens?: EstablishedTokens | undefined;
}

export type ContextProblem =
  | 'missing'
  | 'malformed'
  | 'unknown-key'
  | 'bad-signature'
  | 'wrong-audience'
  | 'expired'
  | 'other-bytes'
  | 'replayed';

/** Thrown by the verifiers. `problem` is for the log; the caller only ever learns UNAUTHENTICATED. */
export class ContextError extends Error {
  override readonly name = 'ContextError';
  readonly problem: ContextProblem;
  constructor(problem: ContextProblem) {
    super(`signed context refused: ${problem}`);
    this.problem = problem;
  }
}

/**
 * Half of the limit below, so that clocks may differ by 30 s either way before a fresh context is refused as
 * expired or as too far in the future.
 */
const CONTEXT_TTL_MS = 30_000;
export const CONTEXT_TTL_MAX_MS = 60_000;
const ESTABLISHED_AUDIENCE = 'router';

/** Signs the claims for one call over `body`, the exact bytes sent. `now` is a seam for tests. */
export function signContext(
  ring: KeyRing,
  claims: Omit<ContextClaims, 'expiresAt' | 'bodyHash' | 'nonce'>,
  body: Buffer | string,
  now: number = Date.now(),
): string {
  const complete: ContextClaims = {
    ...claims,
    expiresAt: now + CONTEXT_TTL_MS,
    bodyHash: hashOf(body),
    nonce: nextNonce(),
  };
  return seal(ring, CONTEXT_HEADER, complete);
}

/**
 * The claims of a genuine, unexpired context for this audience and these bytes; otherwise ContextError. Whether it was
 * used before is for the caller to remember.
 */
export function verifyContext(
  ring: KeyRing,
  audience: string,
  header: string | undefined,
  body: Buffer | string,
  now: number = Date.now(),
): ContextClaims {
  const claims = unseal<ContextClaims>(ring, CONTEXT_HEADER, header);
  checkFreshFor(claims, audience, now);
  if (claims.bodyHash !== hashOf(body)) throw new ContextError('other-bytes');
  if (typeof claims.nonce !== 'string') throw new ContextError('malformed');
  return claims;
}

/** What is hashed for a subscription, where the bytes on the socket are not ours to see. */
export function bytesOfSubscription(query: string, variables?: Record<string, unknown> | null): string {
  return JSON.stringify([query, variables ?? {}]);
}

/** Tells the router what this response established (register, login, …). Short-lived. */
export function signEstablished(ring: KeyRing, established: Established, now: number = Date.now()): string {
  const { viewer, tokens } = established;
  return seal(ring, ESTABLISHED_HEADER, {
    viewer,
    tokens,
    audience: ESTABLISHED_AUDIENCE,
    expiresAt: now + CONTEXT_TTL_MS,
  });
}

/** What a genuine `taskflow-established` header says; otherwise ContextError. */
export function verifyEstablished(
  ring: KeyRing,
  text: string | undefined,
  now: number = Date.now(),
): Established {
  const claims = unseal<Established & { audience: string; expiresAt: number }>(
    ring,
    ESTABLISHED_HEADER,
    text,
  );
  checkFreshFor(claims, ESTABLISHED_AUDIENCE, now);
  return { viewer: claims.viewer, tokens: claims.tokens };
}

/** Unique among all processes by its beginning, within one by its end. A random one for each call would cost more. */
const NONCE_PREFIX = randomBytes(12).toString('base64url');
let nonces = 0;
const nextNonce = () => `${NONCE_PREFIX}.${(nonces++).toString(36)}`;

function checkFreshFor(claims: { audience: string; expiresAt: number }, audience: string, now: number): void {
  if (claims.audience !== audience) throw new ContextError('wrong-audience');
  const remainingMs = claims.expiresAt - now;
  if (!(remainingMs > 0 && remainingMs <= CONTEXT_TTL_MAX_MS)) throw new ContextError('expired');
}

function hashOf(body: Buffer | string): string {
  return hash('sha256', body, 'base64url');
}

function seal(ring: KeyRing, label: string, claims: object): string {
  const key = ring[0];
  if (!key) throw new Error('an empty key ring cannot sign');
  const signed = `v1.${key.id}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
  return `${signed}.${macOf(key.secret, label, signed).toString('base64url')}`;
}

function unseal<T>(ring: KeyRing, label: string, text: string | undefined): T {
  if (!text) throw new ContextError('missing');
  const parts = text.split('.');
  const [version, keyId, payload, mac] = parts;
  if (parts.length !== 4 || version !== 'v1' || !payload || !mac) throw new ContextError('malformed');
  const key = ring.find((candidate) => candidate.id === keyId);
  if (!key) throw new ContextError('unknown-key');
  const given = Buffer.from(mac, 'base64url');
  const expected = macOf(key.secret, label, `v1.${keyId}.${payload}`);
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw new ContextError('bad-signature');
  }
  return JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as T;
}

/** The label keeps a context from passing as an established header, and the other way round. */
function macOf(secret: Buffer, label: string, signed: string): Buffer {
  return createHmac('sha256', keyOf(secret)).update(`${label}\n${signed}`).digest();
}

// From a Buffer OpenSSL makes the key anew for each MAC: measured 14 µs, with a KeyObject 2 µs.
const keys = new WeakMap<Buffer, KeyObject>();

function keyOf(secret: Buffer): KeyObject {
  let key = keys.get(secret);
  if (!key) {
    key = createSecretKey(secret);
    keys.set(secret, key);
  }
  return key;
}
