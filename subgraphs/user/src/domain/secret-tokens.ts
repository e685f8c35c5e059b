/**
 * Secrets that arrive without a session carry their tenant: `<kind>_<org>_<secret>`, so that they are looked up under
 * row security. 256 bits of secret; only the SHA-256 of the whole text is kept.
 */
import { createHash, createHmac, randomBytes } from 'node:crypto';

export type TokenKind = 'rt' | 'inv' | 'key' | 'pwd' | 'ver' | 'eml';

export interface SecretToken {
  readonly orgId: string;
  /** What is shown to its owner, once. */
  readonly text: string;
  /** What is stored. */
  readonly hash: Buffer;
}

const SECRET_BYTES = 32;
const SHAPE = /^(rt|inv|key|pwd|ver|eml)_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})_([A-Za-z0-9_-]{43})$/;

export function newToken(kind: TokenKind, orgId: string): SecretToken {
  return tokenOf(kind, orgId, randomBytes(SECRET_BYTES));
}

/** The token that a text is; null for what none of this kind can be. */
export function parseToken(kind: TokenKind, text: string): SecretToken | null {
  const [, found, orgId, secret] = SHAPE.exec(text) ?? [];
  if (found !== kind || !orgId || !secret) return null;
  return { orgId, text, hash: sha256(text) };
}

/** The one child of a refresh token: whoever has not the key cannot tell it from a random one. */
export function childOf(
  parent: SecretToken,
  family: { sessionId: string; generation: number },
  key: string,
): SecretToken {
  const { sessionId, generation } = family;
  const secret = createHmac('sha256', key).update(`${sessionId}\n${generation}\n${parent.text}`).digest();
  return tokenOf('rt', parent.orgId, secret);
}

export const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();

function tokenOf(kind: TokenKind, orgId: string, secret: Buffer): SecretToken {
  const text = `${kind}_${orgId}_${secret.toString('base64url')}`;
  return { orgId, text, hash: sha256(text) };
}
