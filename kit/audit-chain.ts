/**
 * The arithmetic of the audit log's chain: what is hashed, in which form. Seal, verification and any outside check share it.
 *
 *   digest  = SHA-256( salt ‖ details )                    salt 16 random bytes, details the exact UTF-8 text of the row
 *   hash(0) = SHA-256( "taskflow.audit.v1 <source> <org>" ) binds a chain to its subgraph and tenant
 *   hash(n) = SHA-256( hash(n-1) ‖ canonical(n) )           after a checkpoint, hash(n-1) is the checkpoint's
 *
 * canonical(n) is one JSON array without spaces, in UTF-8, as JSON.stringify writes it:
 *
 *   ["taskflow.audit.v1", seq, org_id, id, action, target_type, target_id, actor_id, session_id, request_id,
 *    occurred_at, details_digest]
 *
 * seq is a number; ids are lower case; an absent id is null; occurred_at is RFC 3339 in UTC with milliseconds
 * (`2026-11-21T08:30:00.000Z`), the precision it is stored with; details_digest is hexadecimal.
 */
import { createHash } from 'node:crypto';

/** The columns of an entry that its hash covers. */
export interface ChainedEntry {
  readonly orgId: string;
  readonly id: string;
  readonly action: string;
  readonly targetType: string;
  readonly targetId: string | null;
  readonly actorId: string | null;
  readonly sessionId: string | null;
  readonly requestId: string;
  readonly occurredAt: Date;
  readonly detailsDigest: Uint8Array;
}

/** Everything above, as SQL over `audit_entries e`. */
export const CHAINED_COLUMNS = `e.org_id as "orgId", e.id, e.action, e.target_type as "targetType", e.target_id as "targetId",
  e.actor_id as "actorId", e.session_id as "sessionId", e.request_id as "requestId", e.occurred_at as "occurredAt",
  e.details_digest as "detailsDigest"`;

const FORMAT = 'taskflow.audit.v1';
export const SALT_BYTES = 16;

const sha256 = (...parts: (string | Uint8Array)[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** Covers what may be erased without giving it away: nobody guesses an address through it, for the salt goes as well. */
export const digestOf = (salt: Uint8Array, details: string): Buffer => sha256(salt, details);

/** What stands before the first entry of a tenant in one subgraph. */
export const genesisOf = (source: string, orgId: string): Buffer => sha256(`${FORMAT} ${source} ${orgId}`);

/** The hash of the entry that is number `seq`, behind `previous`. */
export const hashOf = (previous: Uint8Array, seq: number, entry: ChainedEntry): Buffer =>
  sha256(previous, canonical(seq, entry));

export function canonical(seq: number, entry: ChainedEntry): string {
  const { orgId, id, action, targetType, targetId, actorId, sessionId, requestId } = entry;
  const [at, digest] = [entry.occurredAt.toISOString(), Buffer.from(entry.detailsDigest).toString('hex')];
  return JSON.stringify([
    ...[FORMAT, seq, orgId, id, action, targetType, targetId],
    ...[actorId, sessionId, requestId, at, digest],
  ]);
}
