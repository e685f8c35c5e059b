import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseKeyRing } from './config.ts';
import { DomainError } from './errors.ts';
import {
  connectionOf,
  createCursors,
  createKeyset,
  type Direction,
  type KeysetColumn,
  type KeyValue,
  pageArgs,
  scopeOf,
} from './page.ts';

const ring = parseKeyRing(`k1:${'c'.repeat(32)}`);
const cursors = createCursors(ring);
const binding = { orgId: 'org-a', scope: scopeOf('tasks', { status: ['TODO'] }, ['createdAt']) };

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof DomainError) return error.code;
    throw error;
  }
  return 'none';
}

describe('a cursor', () => {
  const text = cursors.encode({
    ...binding,
    values: ['2026-01-01 00:00:00.000001+00', 7, null],
    pinnedAt: 5,
  });

  it('gives its position back', () => {
    const position = { values: ['2026-01-01 00:00:00.000001+00', 7, null], pinnedAt: 5 };
    expect(cursors.decode(text, binding)).toEqual(position);
  });

  it('is refused in another tenant, filter, order or list', () => {
    for (const other of [
      { ...binding, orgId: 'org-b' },
      { ...binding, scope: scopeOf('tasks', { status: ['DONE'] }, ['createdAt']) },
      { ...binding, scope: scopeOf('tasks', { status: ['TODO'] }, ['dueAt']) },
      { ...binding, scope: scopeOf('teams', { status: ['TODO'] }, ['createdAt']) },
    ]) {
      expect(codeOf(() => cursors.decode(text, other))).toBe('BAD_USER_INPUT');
    }
  });

  it('is refused after any tampering', () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.';
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.constantFrom(...alphabet), (index, character) => {
        fc.pre(text[index] !== character);
        const forged = text.slice(0, index) + character + text.slice(index + 1);
        expect(codeOf(() => cursors.decode(forged, binding))).toBe('BAD_USER_INPUT');
      }),
      { numRuns: 2000 },
    );
  });

  it.each(['', '.', '..', 'k1..', 'null', 'k1.e30.AAAA', 'x'.repeat(100_000)])(
    'is refused when it is %.20j',
    (junk) => {
      expect(codeOf(() => cursors.decode(junk, binding))).toBe('BAD_USER_INPUT');
    },
  );

  it('outlives the rotation of its key', () => {
    const rotated = createCursors([...parseKeyRing(`k2:${'d'.repeat(32)}`), ...ring]);
    expect(rotated.decode(text, binding).pinnedAt).toBe(5);
  });
});

describe('a scope', () => {
  it('does not depend on the order of keys, and takes undefined for absent', () => {
    const one = scopeOf('tasks', { a: 1, b: { c: 2, d: undefined } });
    expect(scopeOf('tasks', { b: { c: 2 }, a: 1 })).toBe(one);
    expect(scopeOf('tasks', { b: { c: null }, a: 1 })).not.toBe(one);
  });
});

describe('pageArgs', () => {
  it('defaults to the first 25, forwards', () => {
    expect(pageArgs({})).toEqual({ size: 25, direction: 'forward', cursor: null });
    expect(pageArgs({ last: 3, before: 'x' })).toEqual({ size: 3, direction: 'backward', cursor: 'x' });
  });

  it.each([
    { first: -1 },
    { first: 101 },
    { first: 2 ** 31 },
    { last: -1 },
    { last: 101 },
    { first: 1, last: 1 },
    { first: 1, before: 'x' },
    { last: 1, after: 'x' },
    { first: 1.5 },
  ])('refuses %j', (args) => {
    expect(codeOf(() => pageArgs(args))).toBe('BAD_USER_INPUT');
  });
});

interface Row {
  a: number | null;
  b: number | null;
  id: number;
}

/** Runs the generated condition over rows: the SQL subset that the builder writes, with null as not true. */
function evaluate(text: string, values: readonly KeyValue[], row: Row): boolean {
  const read = (token: string): KeyValue => {
    const parameter = /^\$(\d+)::int$/.exec(token);
    return parameter ? (values[Number(parameter[1]) - 1] ?? null) : row[token as keyof Row];
  };
  const isTrue = (left: string, operator: string, right: string): boolean => {
    const [l, r] = [left.split(', ').map(read), right.split(', ').map(read)];
    const index = l.findIndex((value, i) => value !== r[i]);
    if ([...l, ...r].includes(null)) return false;
    if (operator === '=') return index === -1;
    if (index === -1) return false;
    return operator === '>' ? Number(l[index]) > Number(r[index]) : Number(l[index]) < Number(r[index]);
  };
  const script = text
    .replace(/(\w+) IS NOT NULL/g, (_m, column) => String(read(column) !== null))
    .replace(/(\w+) IS NULL/g, (_m, column) => String(read(column) === null))
    .replace(/\(([\w, ]+)\) ([<>]) \(([$\w:, ]+)\)/g, (_m, l, o, r) => String(isTrue(l, o, r)))
    .replace(/([abid]+) ([<>=]) (\$\d+::int)/g, (_m, l, o, r) => String(isTrue(l, o, r)))
    .replace(/FALSE/g, 'false')
    .replace(/ AND /g, ' && ')
    .replace(/ OR /g, ' || ');
  expect(script).toMatch(/^(true|false|&&|\|\||[() ])+$/);
  return new Function(`return ${script}`)() as boolean;
}

type Order = Pick<KeysetColumn<Row>, 'order' | 'nulls'>;

function compareRows(columns: readonly KeysetColumn<Row>[], left: Row, right: Row): number {
  for (const column of columns) {
    const [l, r] = [column.of(left), column.of(right)];
    if (l === r) continue;
    if (l === null) return column.nulls === 'first' ? -1 : 1;
    if (r === null) return column.nulls === 'first' ? 1 : -1;
    return (Number(l) - Number(r)) * (column.order === 'asc' ? 1 : -1);
  }
  return 0;
}

const order = fc.constantFrom<Order['order']>('asc', 'desc');
const nullable = fc.record({ order, nulls: fc.constantFrom<'first' | 'last'>('first', 'last') });
const rowsOf = fc.array(fc.tuple(fc.option(fc.nat(3)), fc.option(fc.nat(3))), { maxLength: 12 });

describe('the keyset', () => {
  it('walks every row exactly once in the order of a sort, both ways, nulls first and last', () => {
    fc.assert(
      fc.property(
        nullable,
        nullable,
        order,
        rowsOf,
        fc.integer({ min: 1, max: 4 }),
        (a, b, idOrder, pairs, size) => {
          const rows = pairs.map(([x, y], id): Row => ({ a: x, b: y, id }));
          const columns: KeysetColumn<Row>[] = [
            { sql: 'a', type: 'int', ...a, of: (row) => row.a },
            { sql: 'b', type: 'int', ...b, of: (row) => row.b },
            { sql: 'id', type: 'int', order: idOrder, of: (row) => row.id },
          ];
          expectWalks(columns, rows, size);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('walks a uniform order without nulls by one comparison of rows', () => {
    const columns: KeysetColumn<Row>[] = [
      { sql: 'a', type: 'int', order: 'desc', of: (row) => row.a },
      { sql: 'id', type: 'int', order: 'desc', of: (row) => row.id },
    ];
    expect(createKeyset(columns).after([5, 7], 'forward', 3)).toEqual({
      text: '(a, id) < ($3::int, $4::int)',
      values: [5, 7],
    });
    fc.assert(
      fc.property(fc.array(fc.nat(3), { maxLength: 12 }), fc.integer({ min: 1, max: 4 }), (numbers, size) => {
        expectWalks(
          columns,
          numbers.map((a, id): Row => ({ a, b: null, id })),
          size,
        );
      }),
      { numRuns: 100 },
    );
  });

  it('writes the mirrored order backwards', () => {
    const keyset = createKeyset<Row>([
      { sql: 'a', type: 'int', order: 'asc', nulls: 'last', of: (row) => row.a },
      { sql: 'id', type: 'int', order: 'desc', of: (row) => row.id },
    ]);
    expect(keyset.orderBy('forward')).toBe('a ASC NULLS LAST, id DESC');
    expect(keyset.orderBy('backward')).toBe('a DESC NULLS FIRST, id ASC');
  });
});

/** Reads page after page, as a resolver would, and compares with the sorted whole. */
function expectWalks(columns: readonly KeysetColumn<Row>[], rows: readonly Row[], size: number): void {
  const keyset = createKeyset(columns);
  const sorted = [...rows].sort((left, right) => compareRows(columns, left, right));
  for (const direction of ['forward', 'backward'] satisfies Direction[]) {
    const ordered = direction === 'forward' ? sorted : [...sorted].reverse();
    const seen: Row[] = [];
    let cursor: KeyValue[] | null = null;
    for (let page = 0; page <= rows.length; page++) {
      const condition: { text: string; values: KeyValue[] } | null =
        cursor && keyset.after(cursor, direction, 1);
      const found = ordered.filter((row) => !condition || evaluate(condition.text, condition.values, row));
      const connection = connectionOf({
        rows: found.slice(0, size + 1),
        page: { size, direction, cursor: cursor && 'some' },
        cursorOf: (row) => JSON.stringify(keyset.valuesOf(row)),
      });
      const { pageInfo, nodes } = connection;
      seen.push(...(direction === 'forward' ? nodes : [...nodes].reverse()));
      const isMore = direction === 'forward' ? pageInfo.hasNextPage : pageInfo.hasPreviousPage;
      expect(isMore).toBe(seen.length < rows.length);
      expect(direction === 'forward' ? pageInfo.hasPreviousPage : pageInfo.hasNextPage).toBe(cursor !== null);
      if (!isMore) break;
      cursor = JSON.parse((direction === 'forward' ? pageInfo.endCursor : pageInfo.startCursor) ?? '[]');
    }
    expect(seen).toEqual(ordered);
  }
}

describe('connectionOf', () => {
  it('answers a page of none and still knows whether there is more', () => {
    const connection = connectionOf({
      rows: ['a'],
      page: { size: 0, direction: 'forward', cursor: null },
      cursorOf: String,
    });
    expect(connection).toMatchObject({
      edges: [],
      nodes: [],
      pageInfo: { hasNextPage: true, startCursor: null },
    });
  });
});
