/**
 * The audit log: who did what to which thing, written in the transaction of the change.
 *
 *   recordAudit ──▶ audit_entries     for good: action, target, actor, session, request, digest of the details
 *               ──▶ audit_details     before, after, address, user agent: erasable
 *               ──▶ audit_unsealed    ─▶ the relay, after the commit: a link of the tenant's chain (audit-seal.ts)
 *
 * A row knows no lock but its own, so that a busy tenant's changes stay side by side. Kept for AUDIT_RETENTION_DAYS
 * (audit-retention.ts), checked by `npm run operator -- audit verify` (audit-verify.ts), read by audit-log.ts.
 */
import { randomBytes } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import { digestOf, SALT_BYTES } from './audit-chain.ts';
import type { Call } from './call.ts';
import type { Fact } from './outbox.ts';
import type { Sql } from './sql.ts';

/** Who acted, and from where. */
export interface AuditOrigin {
  /** Null when nobody was signed in, or the system acted. */
  readonly actorId: string | null;
  /** The session, or the API key, that was used. */
  readonly sessionId?: string | null;
  readonly requestId: string;
  readonly address: string | null;
  readonly userAgent: string | null;
}

/** One line of the log. */
export interface AuditEntry {
  /** `<noun>.<past-tense>`: `member.role-changed`. */
  readonly action: string;
  /** The word that facts use for it, `team-member`; ids are UUIDs. Never an address or a name: targets are not erased. */
  readonly target: { readonly type: string; readonly id: string | null };
  /**
   * The thing as it was and as it is, or the columns of interest. Of two images only what differs is kept. Never a secret,
   * nor the hash of one.
   */
  readonly before?: object | null;
  readonly after?: object | null;
}

/** What stands in the erasable row, as JSON. */
export interface AuditDetails {
  readonly before: Readonly<Record<string, unknown>> | null;
  readonly after: Readonly<Record<string, unknown>> | null;
  readonly address: string | null;
  readonly userAgent: string | null;
}

export const auditOriginOf = ({ viewer, requestId, address, userAgent }: Call): AuditOrigin => ({
  ...{ actorId: viewer.userId, sessionId: viewer.sessionId },
  ...{ requestId, address, userAgent },
});

/** The line of a change that a fact tells of: the same word, the same images. */
export const entryOf = ({ type, aggregate, before, after }: Fact): AuditEntry => ({
  ...{ action: type, target: { type: aggregate.type, id: aggregate.id } },
  ...{ before, after },
});

/** The limits of the sessions' columns; a longer one says nothing more. */
const USER_AGENT_LENGTH_MAX = 500;
const ADDRESS_LENGTH_MAX = 64;
/** The CHECK of the table says the same. */
const REQUEST_ID_LENGTH_MAX = 200;

const RECORD = `
  with details as (
    insert into audit_details (org_id, entry_id, salt, details) values ($1::uuid, $2::uuid, $3::bytea, $4::text)
  ), waiting as (
    insert into audit_unsealed (org_id, entry_id) values ($1::uuid, $2::uuid)
  )
  insert into audit_entries (org_id, id, action, target_type, target_id, actor_id, session_id, request_id, occurred_at,
    details_digest)
  values ($1::uuid, $2::uuid, $5::text, $6::text, $7::uuid, $8::uuid, $9::uuid, $10::text, $11::timestamptz, $12::bytea)`;

/** Appends to the log of one organisation, in one statement. `sql` is the transaction of the change. */
export async function recordAudit(
  sql: Sql,
  orgId: string,
  origin: AuditOrigin,
  entry: AuditEntry,
): Promise<void> {
  const id = uuidv7();
  const salt = randomBytes(SALT_BYTES);
  const details = JSON.stringify(detailsOf(origin, entry));
  await sql.query(RECORD, [
    ...[orgId, id, salt, details, entry.action, entry.target.type, entry.target.id],
    ...[origin.actorId, origin.sessionId ?? null, origin.requestId.slice(0, REQUEST_ID_LENGTH_MAX)],
    ...[timeOf(id).toISOString(), digestOf(salt, details)],
  ]);
}

/** The time within a UUIDv7, so that the order of ids is the order of times. */
export const timeOf = (id: string): Date => new Date(Number.parseInt(id.replace('-', '').slice(0, 12), 16));

function detailsOf({ address, userAgent }: AuditOrigin, entry: AuditEntry): AuditDetails {
  return {
    ...differenceOf(entry.before ?? null, entry.after ?? null),
    address: address?.slice(0, ADDRESS_LENGTH_MAX) ?? null,
    userAgent: userAgent?.slice(0, USER_AGENT_LENGTH_MAX) ?? null,
  };
}

/** Of two images the columns that differ; of one image all. */
export function differenceOf(
  before: object | null,
  after: object | null,
): Pick<AuditDetails, 'before' | 'after'> {
  const [was, is] = [before, after].map((image) => image && Object.entries(withoutSecrets(image)));
  if (!was || !is) return { before: was ? pick(was) : null, after: is ? pick(is) : null };
  const textOf = (entries: [string, unknown][]) =>
    new Map(entries.map(([column, value]) => [column, JSON.stringify(value ?? null)]));
  const [wasText, isText] = [textOf(was), textOf(is)];
  const differs = ([column]: [string, unknown]) =>
    (wasText.get(column) ?? 'null') !== (isText.get(column) ?? 'null');
  return { before: pick(was.filter(differs)), after: pick(is.filter(differs)) };
}

const pick = (entries: [string, unknown][]): Record<string, unknown> => Object.fromEntries(entries);

/** The net under the rule that nobody puts one here. */
const SECRET = /(password|secret|token|hash)$/i;

function withoutSecrets(image: object): object {
  return Object.fromEntries(
    Object.entries(image).map(([column, value]) => [column, SECRET.test(column) ? '[redacted]' : value]),
  );
}
