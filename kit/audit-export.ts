/**
 * The audit log as text for other tools: CSV (RFC 4180, with a header) or JSON lines. One table names the columns of both.
 *
 * A spreadsheet runs a cell that begins with = + - @ (or a tab or return before them) as a formula. People choose their
 * names and user agents, and an administrator opens the file: such a cell gets an apostrophe in front.
 */

/** An entry as it is shown: with its details, unless they were erased, and its seal, once it has one. */
export interface AuditLine {
  readonly id: string;
  readonly occurredAt: Date;
  readonly action: string;
  readonly actorId: string | null;
  readonly sessionId: string | null;
  readonly target: { readonly type: string; readonly id: string | null };
  /** JSON objects as text. */
  readonly before: string | null;
  readonly after: string | null;
  readonly address: string | null;
  readonly userAgent: string | null;
  readonly requestId: string;
  readonly isErased: boolean;
  readonly isSealed: boolean;
  readonly sequence: number | null;
  /** Hexadecimal. */
  readonly hash: string | null;
}

/** With the name of the subgraph whose log it is from. */
type Exported = AuditLine & { readonly subgraph: string };

export type AuditFormat = 'CSV' | 'JSON_LINES';

const COLUMNS: readonly (readonly [
  name: string,
  of: (line: Exported) => string | number | boolean | null,
])[] = [
  ['subgraph', (line) => line.subgraph],
  ['id', (line) => line.id],
  ['occurredAt', (line) => line.occurredAt.toISOString()],
  ['action', (line) => line.action],
  ['actorId', (line) => line.actorId],
  ['sessionId', (line) => line.sessionId],
  ['targetType', (line) => line.target.type],
  ['targetId', (line) => line.target.id],
  ['before', (line) => line.before],
  ['after', (line) => line.after],
  ['address', (line) => line.address],
  ['userAgent', (line) => line.userAgent],
  ['requestId', (line) => line.requestId],
  ['isErased', (line) => line.isErased],
  ['sequence', (line) => line.sequence],
  ['hash', (line) => line.hash],
];

/** What stands before the first line of a file. */
export const headerOf = (format: AuditFormat): string =>
  format === 'CSV' ? `${COLUMNS.map(([name]) => name).join(',')}\r\n` : '';

/** One line with its end. */
export function textOf(format: AuditFormat, line: Exported): string {
  if (format === 'CSV') return `${COLUMNS.map(([, of]) => csvCell(of(line))).join(',')}\r\n`;
  const plain = Object.fromEntries(COLUMNS.map(([name, of]) => [name, of(line)]));
  const parse = (text: string | null): unknown => (text === null ? null : JSON.parse(text));
  return `${JSON.stringify({ ...plain, before: parse(line.before), after: parse(line.after) })}\n`;
}

const FORMULA = /^[\s]*[=+\-@]|^[\t\r\n]/;

function csvCell(value: string | number | boolean | null): string {
  if (value === null) return '';
  if (typeof value !== 'string') return String(value);
  const safe = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
