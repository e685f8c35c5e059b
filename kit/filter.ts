/**
 * Comparator filters to SQL, from one table per entity: the table is the whitelist, and nothing but its own text and
 * numbered parameters reaches the statement.
 *
 *   const taskFilter = createFilter({ status: text('t.status'), dueAt: instant('t.due_at'), tags: texts('t.tags'), … });
 *   taskFilter({ status: { in: ['TODO'] }, or: [...] }, parameters, { now, viewerId })   →  (t.status = any($3::text[]) and (…))
 *
 * An absent value fulfils `null: true`, `neq` and `nin`, and nothing else; `not` is the exact complement, hence "is not
 * true" rather than SQL's three-valued NOT (and no coalesce, which would hide the column from its index).
 * null for a comparator means that it is absent.
 */
import { DomainError } from './errors.ts';
import { instantOf, type Moment } from './scalars.ts';

/** The numbered parameters of one statement; `add` answers the placeholder. */
export class Parameters {
  readonly values: unknown[] = [];
  /** `type` is a PostgreSQL type name of ours: `uuid`, `text[]`. */
  add(value: unknown, type: string): string {
    // PostgreSQL's text cannot hold it, so nothing there can equal it; a client that sends it has made a mistake.
    if ([value].flat().some((part) => typeof part === 'string' && part.includes('\0'))) {
      throw refused('a text contains the character U+0000');
    }
    this.values.push(value);
    return `$${this.values.length}::${type}`;
  }
}

export interface FilterScope {
  /** What relative dates count from; pinned in the cursor while a list is paged. */
  readonly now: Date;
  readonly viewerId: string;
}

type Comparator = Record<string, unknown>;
type Comparison = (comparator: Comparator, parameters: Parameters, scope: FilterScope) => string[];

export type FilterTable = Readonly<Record<string, Comparison>>;
export type Filter = { readonly [field: string]: unknown };

/** A tree deeper than this is a program, not a filter; SDL descriptions promise it. */
const FILTER_DEPTH_MAX = 5;
/** Conditions in the whole tree: bounds the length of the statement. */
const CONDITIONS_MAX = 100;
const LIST_LENGTH_MAX = 100;

export function createFilter(table: FilterTable) {
  /** The condition for `filter`, `true` when it has none. Throws BAD_USER_INPUT for a tree too deep or too wide. */
  return (filter: Filter | null | undefined, parameters: Parameters, scope: FilterScope): string => {
    let conditions = 0;
    const build = (node: Filter, depth: number): string => {
      if (depth > FILTER_DEPTH_MAX) throw refused(`and, or and not nest at most ${FILTER_DEPTH_MAX} deep`);
      const parts = Object.entries(node).flatMap(([name, value]): string[] => {
        if (value === null || value === undefined) return [];
        conditions += 1;
        if (conditions > CONDITIONS_MAX) throw refused(`a filter has at most ${CONDITIONS_MAX} conditions`);
        if (name === 'and')
          return [
            join(
              (value as Filter[]).map((inner) => build(inner, depth + 1)),
              'and',
            ),
          ];
        if (name === 'or')
          return [
            join(
              (value as Filter[]).map((inner) => build(inner, depth + 1)),
              'or',
            ),
          ];
        if (name === 'not') return [`${build(value as Filter, depth + 1)} is not true`];
        const compare = table[name];
        if (!compare) throw refused(`${name} cannot be filtered by`);
        return compare(value as Comparator, parameters, scope);
      });
      return join(parts, 'and');
    };
    return build(filter ?? {}, 0);
  };
}

/** A text column, or an enum kept as text: eq, neq, in, nin, contains. */
export const textColumn =
  (sql: string): Comparison =>
  (comparator, parameters) =>
    each(comparator, (operator, value) => {
      if (operator === 'contains') {
        return `strpos(lower(${sql}), lower(${parameters.add(value, 'text')})) > 0`;
      }
      return equality(sql, 'text', operator, value, parameters);
    });

/** A text column whose values are in lower case: compared with whatever case is given. */
export const lowerCaseColumn = (sql: string): Comparison => {
  const compare = textColumn(sql);
  return (comparator, parameters, scope) => {
    const lower = Object.entries(comparator).map(([operator, value]) => [operator, lowerOf(value)]);
    return compare(Object.fromEntries(lower), parameters, scope);
  };
};

function lowerOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(lowerOf);
  return typeof value === 'string' ? value.toLowerCase() : value;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
export const isUuid = (text: unknown): text is string => typeof text === 'string' && UUID.test(text);

/** A reference: eq, neq, in, nin, null, isViewer. A malformed id is one that nothing has. */
export const idColumn =
  (sql: string): Comparison =>
  (comparator, parameters, { viewerId }) =>
    each(comparator, (operator, value) => {
      if (operator === 'null') return nullness(sql, value);
      if (operator === 'isViewer') {
        return equality(sql, 'uuid', value ? 'eq' : 'neq', viewerId, parameters);
      }
      if (Array.isArray(value)) return equality(sql, 'uuid', operator, value.filter(isUuid), parameters);
      if (!isUuid(value)) return operator === 'neq' ? 'true' : 'false';
      return equality(sql, 'uuid', operator, value, parameters);
    });

const ORDER: Readonly<Record<string, string>> = { lt: '<', lte: '<=', gt: '>', gte: '>=' };

/** An instant: lt, lte, gt, gte, null, each taking a Moment. */
export const instantColumn =
  (sql: string): Comparison =>
  (comparator, parameters, { now }) =>
    each(comparator, (operator, value) => {
      if (operator === 'null') return nullness(sql, value);
      const sign = ORDER[operator];
      if (!sign) throw refused(`${operator} is no comparison of instants`);
      const instant = withinCalendar(instantOf(value as Moment, now));
      return `${sql} ${sign} ${parameters.add(instant.toISOString(), 'timestamptz')}`;
    });

/** The instant within a UUIDv7, as a range of such ids: an index on them serves it. lt, lte, gt, gte. */
export const idTimeColumn =
  (sql: string): Comparison =>
  (comparator, parameters, { now }) =>
    each(comparator, (operator, value) => {
      const ms = Math.max(withinCalendar(instantOf(value as Moment, now)).getTime(), 0);
      const from = (first: number) => parameters.add(firstIdOf(first), 'uuid');
      if (operator === 'gte') return `${sql} >= ${from(ms)}`;
      if (operator === 'gt') return `${sql} >= ${from(ms + 1)}`;
      if (operator === 'lt') return `${sql} < ${from(ms)}`;
      if (operator === 'lte') return `${sql} < ${from(ms + 1)}`;
      throw refused(`${operator} is no comparison of instants`);
    });

/** The least UUID whose first 48 bits are this time. */
function firstIdOf(ms: number): string {
  const hex = ms.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}

/** Years that both RFC 3339 and PostgreSQL write with four digits; no row lies beyond, so the comparison stays the same. */
const CALENDAR = {
  first: Date.parse('0001-01-01T00:00:00.000Z'),
  last: Date.parse('9999-12-31T23:59:59.999Z'),
};

function withinCalendar(instant: Date): Date {
  return new Date(Math.min(Math.max(instant.getTime(), CALENDAR.first), CALENDAR.last));
}

/**
 * An array of texts, never null: some, every, none, each with eq and in, which one text has to fulfil together.
 * `overlaps` says in SQL that the array has one of a list of texts, where the operator itself finds no index.
 */
export const textsColumn =
  (sql: string, overlaps = (list: string) => `${sql} && ${list}`): Comparison =>
  (comparator, parameters) =>
    each(comparator, (quantifier, value) => {
      const lists = Object.values(value as Comparator).filter((inner) => inner != null);
      if (lists.length === 0) return quantifier === 'none' ? `${sql} = '{}'` : anyOrEvery(sql, quantifier);
      const [first = [], ...others] = lists.map((inner) => bounded(Array.isArray(inner) ? inner : [inner]));
      const wanted = first.filter((text) => others.every((list) => list.includes(text)));
      const list = parameters.add(wanted, 'text[]');
      if (quantifier === 'every') return `${sql} <@ ${list}`;
      return quantifier === 'some' ? overlaps(list) : `not ${overlaps(list)}`;
    });

/** Without a condition on the text: some text there is, or every text is anything. */
const anyOrEvery = (sql: string, quantifier: string) => (quantifier === 'some' ? `${sql} <> '{}'` : 'true');

function equality(
  sql: string,
  type: string,
  operator: string,
  value: unknown,
  parameters: Parameters,
): string {
  if (operator === 'eq') return `${sql} = ${parameters.add(value, type)}`;
  if (operator === 'neq') return `${sql} is distinct from ${parameters.add(value, type)}`;
  if (operator === 'in') return `${sql} = any(${parameters.add(bounded(value), `${type}[]`)})`;
  if (operator === 'nin')
    return `(${sql} <> all(${parameters.add(bounded(value), `${type}[]`)}) or ${sql} is null)`;
  throw refused(`${operator} is no known comparison`);
}

function nullness(sql: string, value: unknown): string {
  return value ? `${sql} is null` : `${sql} is not null`;
}

function each(comparator: Comparator, compare: (operator: string, value: unknown) => string): string[] {
  return Object.entries(comparator)
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([operator, value]) => compare(operator, value));
}

/** An empty `and` holds, an empty `or` does not. */
function join(parts: readonly string[], word: 'and' | 'or'): string {
  if (parts.length === 0) return word === 'and' ? 'true' : 'false';
  return parts.length === 1 ? `(${parts[0]})` : `(${parts.join(` ${word} `)})`;
}

function bounded(value: unknown): unknown[] {
  const list = value as unknown[];
  if (list.length > LIST_LENGTH_MAX)
    throw refused(`a list in a filter has at most ${LIST_LENGTH_MAX} values`);
  return list;
}

function refused(reason: string): DomainError {
  return new DomainError('BAD_USER_INPUT', `The filter is not accepted: ${reason}.`, { field: 'filter' });
}
