/**
 * The audit log: who did what to which thing, written in the transaction of the change.
 */
import type { Call } from './call.ts';
import type { Sql } from './sql.ts';

/** Who acted, and from where. */
export interface AuditOrigin {
  /** Null when nobody was signed in, or the system acted. */
  readonly actorId: string | null;
  readonly requestId: string;
  readonly address: string | null;
  readonly userAgent: string | null;
}

/** One line of the log. */
export interface AuditEntry {
  /** `<noun>.<past-tense>`: `member.role-changed`. */
  readonly action: string;
  readonly target: { readonly type: string; readonly id: string | null };
  /** The changed columns, as they were and as they are; never a secret, nor the hash of one. */
  readonly before?: object | null;
  readonly after?: object | null;
}

export const auditOriginOf = ({ viewer, requestId, address, userAgent }: Call): AuditOrigin => ({
  actorId: viewer.userId,
  requestId,
  address,
  userAgent,
});

/** Appends to the log of one organisation. `sql` is the transaction of the change. */
export async function recordAudit(
  _sql: Sql,
  _orgId: string,
  _origin: AuditOrigin,
  _entry: AuditEntry,
): Promise<void> {}
