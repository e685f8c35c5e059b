/**
 * What a service holds about one person, as JSON text that facts can carry.
 *
 *   gather    each list by a statement of its service, and the audit lines of the person's own deeds ─▶ one JSON object
 *   piecesOf  the text cut into pieces that are each small enough for one fact
 */
import type { Sql } from './sql.ts';

/** For statements: as many rows of one list are gathered, so that nobody's data is more than a process can hold. */
export const GATHERED_ROWS_MAX = 20_000;

/** UTF-8 takes three bytes at most for each of them: 192 kB, below the 200 kB that a fact may carry. */
const PIECE_LENGTH = 64_000;

/** What the person did here, with whatever has not been erased. Newest first, as the log is read. */
const AUDIT_LOG = `
  select e.id, e.occurred_at as "occurredAt", e.action, e.target_type as "targetType", e.target_id as "targetId",
      e.session_id as "sessionId", e.request_id as "requestId", d.details::jsonb as details
    from audit_entries e left join audit_details d on d.org_id = e.org_id and d.entry_id = e.id
    where e.org_id = $1::uuid and e.actor_id = $2::uuid order by e.id desc`;

/**
 * The rows of each statement under its name, and those of the audit log. A statement gets the organisation and the person
 * as $1 and $2, selects nothing secret and names its order; the list ends after GATHERED_ROWS_MAX rows.
 */
export async function gather(
  sql: Sql,
  { orgId, userId }: { orgId: string; userId: string },
  statements: Readonly<Record<string, string>>,
): Promise<Record<string, unknown[]>> {
  const gathered: Record<string, unknown[]> = {};
  for (const [name, text] of Object.entries({ ...statements, auditLog: AUDIT_LOG })) {
    gathered[name] = await sql.query(`${text} limit ${GATHERED_ROWS_MAX}`, [orgId, userId]);
  }
  return gathered;
}

/** One piece at least; joined in this order they are the text again. */
export function piecesOf(text: string): string[] {
  const pieces: string[] = [];
  for (let from = 0; from < text.length || pieces.length === 0; ) {
    let to = Math.min(from + PIECE_LENGTH, text.length);
    // Half of a surrogate pair is no text: PostgreSQL refuses it.
    if (to < text.length && isLead(text.charCodeAt(to - 1))) to -= 1;
    pieces.push(text.slice(from, to));
    from = to;
  }
  return pieces;
}

const isLead = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff;
