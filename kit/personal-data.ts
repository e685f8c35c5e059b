/**
 * What a service holds about one person, as JSON text that facts can carry.
 *
 *   gather    each list by a statement of its service, and the audit lines of the person's own deeds
 *   textOf    the lists as one JSON object, a row a line
 *   piecesOf  the text cut into pieces that are each small enough for one fact
 *
 * PostgreSQL writes the JSON, and a list has an end: a transaction lasts five seconds at most, and 40,000 rows read one by
 * one took eight on a busy machine.
 */
import type { Sql } from './sql.ts';

/** The archive's README promises both: the newest or first rows of a list, and no more characters. */
const LIST_ROWS_MAX = 5_000;
const LIST_LENGTH_MAX = 4_000_000;

/** UTF-8 takes three bytes at most for each of them: 192 kB, below the 200 kB that a fact may carry. */
const PIECE_LENGTH = 64_000;

/** What the person did here, with whatever has not been erased. Newest first, as the log is read. */
const AUDIT_LOG = `
  select e.id, e.occurred_at as "occurredAt", e.action, e.target_type as "targetType", e.target_id as "targetId",
      e.session_id as "sessionId", e.request_id as "requestId", d.details::jsonb as details
    from audit_entries e left join audit_details d on d.org_id = e.org_id and d.entry_id = e.id
    where e.org_id = $1::uuid and e.actor_id = $2::uuid order by e.id desc`;

/** The JSON text of each list, by its name. */
export type Lists = Readonly<Record<string, string>>;

/**
 * The rows of each statement under its name, and those of the audit log. A statement gets the organisation and the person
 * as $1 and $2, selects nothing secret and names its order.
 */
export const gather = (
  sql: Sql,
  { orgId, userId }: { orgId: string; userId: string },
  statements: Readonly<Record<string, string>>,
): Promise<Lists> => gatherLists(sql, [orgId, userId], { ...statements, auditLog: AUDIT_LOG });

/** The same for statements with other parameters, without the audit log. */
export async function gatherLists(
  sql: Sql,
  values: readonly unknown[],
  statements: Readonly<Record<string, string>>,
): Promise<Lists> {
  const lists: Record<string, string> = {};
  for (const [name, text] of Object.entries(statements)) {
    const [row] = await sql.query<{ list: string | null }>(listOf(text), [...values]);
    lists[name] = row?.list ?? '[]';
  }
  return lists;
}

const listOf = (statement: string): string => `
  with found as (${statement} limit ${LIST_ROWS_MAX}),
    lines as (select row_number() over () as place, to_json(found)::text as line from found),
    sized as (select place, line, sum(length(line)) over (order by place) as total from lines)
  select '[' || string_agg(line, E',\\n' order by place) || ']' as list from sized where total <= ${LIST_LENGTH_MAX}`;

export const textOf = (lists: Lists): string =>
  `{\n${Object.entries(lists)
    .map(([name, list]) => `${JSON.stringify(name)}: ${list}`)
    .join(',\n')}\n}\n`;

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
