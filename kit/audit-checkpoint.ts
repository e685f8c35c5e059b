/**
 * Where a tenant's chain begins once retention has removed what was before: number and hash of the last removed entry,
 * signed by the service, which had checked them.
 *
 *   v1.<key id>.<mac>   HMAC-SHA256 over the JSON array below; the ring holds two keys while rotating, the first signs
 *
 * An HMAC and no public-key signature: who verifies is the operator, who has the environment anyway. Retention signs anew what
 * is signed with the second key, once an hour: after that it can leave the ring.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { KeyRing } from './config.ts';

export interface Checkpoint {
  readonly orgId: string;
  /** Number and hash of the last entry that was removed. */
  readonly seq: number;
  readonly hash: Uint8Array;
  /** When that entry had happened. */
  readonly removedUntil: Date;
}

export function signCheckpoint(ring: KeyRing, source: string, checkpoint: Checkpoint): string {
  const key = ring[0];
  if (!key) throw new Error('an empty key ring cannot sign checkpoints');
  return `v1.${key.id}.${macOf(key.secret, source, checkpoint).toString('base64url')}`;
}

/** What a signature under the first key begins with. */
export const signatureStart = (ring: KeyRing): string => `v1.${ring[0]?.id}.`;

/** Whether one of the keys has signed exactly this for this subgraph and tenant. */
export function isGenuine(
  ring: KeyRing,
  source: string,
  checkpoint: Checkpoint & { signature: string },
): boolean {
  const [version, keyId, mac, ...rest] = checkpoint.signature.split('.');
  const key = ring.find(({ id }) => id === keyId);
  if (version !== 'v1' || !key || !mac || rest.length > 0) return false;
  const given = Buffer.from(mac, 'base64url');
  const expected = macOf(key.secret, source, checkpoint);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function macOf(secret: Buffer, source: string, { orgId, seq, hash, removedUntil }: Checkpoint): Buffer {
  const parts = [source, orgId, seq, Buffer.from(hash).toString('hex'), removedUntil.toISOString()];
  return createHmac('sha256', secret)
    .update(JSON.stringify(['taskflow.audit-checkpoint.v1', ...parts]))
    .digest();
}
