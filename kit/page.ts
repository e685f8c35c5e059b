/**
 * Pages by keyset, both ways, with signed cursors.
 *
 *   pageArgs(args)              what was asked: size, direction, cursor text
 *   cursors.decode(text, …)     the position, or BAD_USER_INPUT
 *   keyset.after(position, …)   SQL condition "strictly beyond this position" + parameters
 *   keyset.orderBy(direction)   the order; backwards it is the mirror image, and rows come back mirrored
 *   connectionOf(…)             rows (size + 1 of them asked for) → edges, nodes, pageInfo
 *
 * A cursor is a position, not a row: it survives the deletion of the row it came from. Its signature covers the
 * tenant and the scope (list name, literal filter, order), so one used elsewhere is refused.
 */
import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';
import type { KeyRing } from './config.ts';
import { DomainError } from './errors.ts';

/** What a cursor carries: text for everything that JSON or a JS Date would round (timestamps, bigint). */
export type KeyValue = string | number | boolean | null;

export interface CursorBinding {
  readonly orgId: string;
  /** From `scopeOf`. */
  readonly scope: string;
}

export interface Position {
  readonly values: readonly KeyValue[];
  /** Milliseconds since the epoch: the "now" of relative dates, fixed on the first page. */
  readonly pinnedAt?: number | undefined;
}

export interface Cursors {
  encode(position: CursorBinding & Position): string;
  /** Throws BAD_USER_INPUT for anything but a cursor that `encode` made for the same tenant and scope. */
  decode(text: string, binding: CursorBinding): Position;
}

/** 128 bits of the MAC: forging needs 2^128 tries online, and cursors stay short. */
const CURSOR_MAC_BYTES = 16;
const CURSOR_LENGTH_MAX = 2048;

export function createCursors(ring: KeyRing): Cursors {
  const keys = ring.map(({ id, secret }) => ({ id, secret: createSecretKey(secret) }));
  const signer = keys[0];
  if (!signer) throw new Error('an empty key ring cannot sign cursors');
  return {
    encode({ orgId, scope, values, pinnedAt }) {
      const payload = Buffer.from(JSON.stringify(pinnedAt === undefined ? [values] : [values, pinnedAt]));
      const signed = `${signer.id}.${payload.toString('base64url')}`;
      return `${signed}.${macOf(signer.secret, signed, { orgId, scope }).toString('base64url')}`;
    },
    decode(text, binding) {
      const [keyId, payload, mac, ...rest] = text.length > CURSOR_LENGTH_MAX ? [] : text.split('.');
      const key = keys.find((candidate) => candidate.id === keyId);
      if (!key || !payload || !mac || rest.length > 0) throw badCursor();
      const given = Buffer.from(mac, 'base64url');
      const expected = macOf(key.secret, `${keyId}.${payload}`, binding);
      // The text is compared too: base64url readers ignore stray bits, and a cursor has one spelling.
      if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw badCursor();
      if (mac !== expected.toString('base64url')) throw badCursor();
      const [values, pinnedAt] = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
      return { values, pinnedAt };
    },
  };
}

/** Names a list with its literal filter and order. Key order does not matter; undefined is as absent. */
export function scopeOf(list: string, ...parts: unknown[]): string {
  return `${list} ${canonicalJson(parts)}`;
}

export type Direction = 'forward' | 'backward';

export interface Page {
  /** Edges to answer, 0 to 100. Ask the database for `size + 1`. */
  readonly size: number;
  readonly direction: Direction;
  /** `after` or `before`, still encoded. */
  readonly cursor: string | null;
}

export interface PageArgs {
  first?: number | null | undefined;
  after?: string | null | undefined;
  last?: number | null | undefined;
  before?: string | null | undefined;
}

const PAGE_SIZE_DEFAULT = 25;
const PAGE_SIZE_MAX = 100;

/** Checks a connection's arguments: `first`/`after` or `last`/`before`, 0 to 100, else BAD_USER_INPUT. */
export function pageArgs({ first, after, last, before }: PageArgs): Page {
  const isBackward = last != null || before != null;
  if (isBackward && (first != null || after != null)) {
    throw new DomainError('BAD_USER_INPUT', 'Use first with after, or last with before, not both.');
  }
  const size = (isBackward ? last : first) ?? PAGE_SIZE_DEFAULT;
  if (!Number.isInteger(size) || size < 0 || size > PAGE_SIZE_MAX) {
    const name = isBackward ? 'last' : 'first';
    throw new DomainError('BAD_USER_INPUT', `${name} must be from 0 to ${PAGE_SIZE_MAX}.`, { field: name });
  }
  return isBackward
    ? { size, direction: 'backward', cursor: before ?? null }
    : { size, direction: 'forward', cursor: after ?? null };
}

export interface KeysetColumn<Row> {
  /** A trusted SQL expression: `t.created_at`. Never from a client. */
  readonly sql: string;
  /** The PostgreSQL type that parameters are cast to: `timestamptz`. */
  readonly type: string;
  readonly order: 'asc' | 'desc';
  /** Where nulls stand when read forwards; absent = the column is never null. */
  readonly nulls?: 'first' | 'last';
  /** The row's value in a form that loses nothing: a timestamptz as text with its microseconds. */
  of(row: Row): KeyValue;
}

export interface Keyset<Row> {
  /** Without the words ORDER BY. */
  orderBy(direction: Direction): string;
  /** A condition for rows strictly beyond `values`; parameters start at `$<firstParameter>`. */
  after(
    values: readonly KeyValue[],
    direction: Direction,
    firstParameter: number,
  ): { text: string; values: KeyValue[] };
  valuesOf(row: Row): KeyValue[];
}

/** A total order over rows. The last column must be unique and never null (the id). */
export function createKeyset<Row>(columns: readonly KeysetColumn<Row>[]): Keyset<Row> {
  const isUniform = columns.every((column) => !column.nulls && column.order === columns[0]?.order);
  return {
    orderBy: (direction) => columns.map((column) => orderTerm(column, direction)).join(', '),
    valuesOf: (row) => columns.map((column) => column.of(row)),
    after(values, direction, firstParameter) {
      if (values.length !== columns.length) throw badCursor();
      const bound = bind(columns, values, firstParameter);
      const text = isUniform
        ? rowComparison(columns, bound.names, direction)
        : orOfAnds(columns, bound.names, direction);
      return { text, values: bound.values };
    },
  };
}

export interface Connection<Node> {
  edges: { readonly cursor: string; node: Node }[];
  nodes: Node[];
  pageInfo: {
    hasNextPage: boolean;
    hasPreviousPage: boolean;
    readonly startCursor: string | null;
    readonly endCursor: string | null;
  };
  /** A function is called by GraphQL only when the field is selected. */
  totalCount: number | null | (() => Promise<number | null>);
}

/**
 * Rows as the database returned them for `page` (up to `size + 1`, mirrored when backward) → a connection in
 * reading order. On the side the page was entered from there is at least the cursor's own position, so that
 * side has a page exactly when a cursor was given.
 */
export function connectionOf<Row, Node = Row>(options: {
  rows: readonly Row[];
  page: Page;
  cursorOf: (row: Row) => string;
  nodeOf?: (row: Row) => Node;
  totalCount?: Connection<Node>['totalCount'];
}): Connection<Node> {
  const { rows, page, cursorOf, nodeOf = (row: Row) => row as unknown as Node, totalCount = null } = options;
  const hasMore = rows.length > page.size;
  const isForward = page.direction === 'forward';
  const shown = rows.slice(0, page.size);
  if (!isForward) shown.reverse();
  const edges = shown.map((row) => ({
    // Signed when it is asked for: most readers take `nodes`, and signing is a tenth of the work of a page.
    get cursor() {
      return cursorOf(row);
    },
    node: nodeOf(row),
  }));
  const entered = page.cursor !== null;
  return {
    edges,
    nodes: edges.map((edge) => edge.node),
    pageInfo: {
      hasNextPage: isForward ? hasMore : entered,
      hasPreviousPage: isForward ? entered : hasMore,
      get startCursor() {
        return edges[0]?.cursor ?? null;
      },
      get endCursor() {
        return edges.at(-1)?.cursor ?? null;
      },
    },
    totalCount,
  };
}

function badCursor(): DomainError {
  return new DomainError('BAD_USER_INPUT', 'The cursor does not belong to this list, filter and order.', {
    field: 'cursor',
  });
}

/** Lengths keep two bindings from running into each other. */
function macOf(secret: KeyObject, signed: string, { orgId, scope }: CursorBinding): Buffer {
  const text = `cursor\n${orgId.length}:${orgId}\n${scope.length}:${scope}\n${signed}`;
  return createHmac('sha256', secret).update(text).digest().subarray(0, CURSOR_MAC_BYTES);
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner) => {
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

function isAscending<Row>(column: KeysetColumn<Row>, direction: Direction): boolean {
  return (column.order === 'asc') === (direction === 'forward');
}

function areNullsLast<Row>(column: KeysetColumn<Row>, direction: Direction): boolean {
  return (column.nulls === 'last') === (direction === 'forward');
}

function orderTerm<Row>(column: KeysetColumn<Row>, direction: Direction): string {
  const order = isAscending(column, direction) ? 'ASC' : 'DESC';
  if (!column.nulls) return `${column.sql} ${order}`;
  return `${column.sql} ${order} NULLS ${areNullsLast(column, direction) ? 'LAST' : 'FIRST'}`;
}

/** Parameters for the values that are not null; `names[i]` is null where the value is. */
function bind<Row>(
  columns: readonly KeysetColumn<Row>[],
  values: readonly KeyValue[],
  firstParameter: number,
) {
  const bound: KeyValue[] = [];
  const names = columns.map((column, index) => {
    const value = values[index] ?? null;
    if (value === null && !column.nulls) throw badCursor();
    if (value === null) return null;
    bound.push(value);
    return `$${firstParameter + bound.length - 1}::${column.type}`;
  });
  return { names, values: bound };
}

/** One comparison of rows: the form that an index on the same columns serves best. */
function rowComparison<Row>(
  columns: readonly KeysetColumn<Row>[],
  names: readonly (string | null)[],
  direction: Direction,
): string {
  const [first] = columns;
  const sign = first && isAscending(first, direction) ? '>' : '<';
  return `(${columns.map((column) => column.sql).join(', ')}) ${sign} (${names.join(', ')})`;
}

/** (a beyond) OR (a equal AND b beyond) OR …, for mixed orders and columns with nulls. */
function orOfAnds<Row>(
  columns: readonly KeysetColumn<Row>[],
  names: readonly (string | null)[],
  direction: Direction,
): string {
  const terms = columns.map((column, index) => {
    const equals = columns.slice(0, index).map((earlier, i) => equalTo(earlier, names[i] ?? null));
    return [...equals, beyond(column, names[index] ?? null, direction)].join(' AND ');
  });
  return `(${terms.map((term) => `(${term})`).join(' OR ')})`;
}

function equalTo<Row>(column: KeysetColumn<Row>, name: string | null): string {
  return name === null ? `${column.sql} IS NULL` : `${column.sql} = ${name}`;
}

function beyond<Row>(column: KeysetColumn<Row>, name: string | null, direction: Direction): string {
  const nullsLast = column.nulls !== undefined && areNullsLast(column, direction);
  if (name === null) return nullsLast ? 'FALSE' : `${column.sql} IS NOT NULL`;
  const comparison = `${column.sql} ${isAscending(column, direction) ? '>' : '<'} ${name}`;
  return nullsLast ? `(${comparison} OR ${column.sql} IS NULL)` : comparison;
}
