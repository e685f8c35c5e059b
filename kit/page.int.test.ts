import { beforeAll, expect, it } from 'vitest';
import { createKeyset, type Direction, type KeysetColumn, type KeyValue } from './page.ts';
import { aDatabase, type PlumbedDatabase } from './postgres.fixture.ts';

interface Row {
  at: string | null;
  priority: number;
  id: string;
}

let database: PlumbedDatabase;
beforeAll(async () => {
  database = await aDatabase();
});

/** Timestamps one microsecond apart, which a JavaScript Date would fold into one. */
const ROWS = `(
  select case when n % 4 = 0 then null else timestamptz '2026-01-01 00:00:00Z' + (n % 3) * interval '1 microsecond' end as at,
         n % 2 as priority,
         ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid as id
  from generate_series(1, 23) n
) t`;

const at = (order: 'asc' | 'desc', nulls: 'first' | 'last'): KeysetColumn<Row> => ({
  sql: 't.at',
  type: 'timestamptz',
  order,
  nulls,
  of: (row) => row.at,
});
const priority: KeysetColumn<Row> = {
  sql: 't.priority',
  type: 'int',
  order: 'desc',
  of: (row) => row.priority,
};
const id = (order: 'asc' | 'desc'): KeysetColumn<Row> => ({
  sql: 't.id',
  type: 'uuid',
  order,
  of: (row) => row.id,
});

it.each([
  ['newest first, undated last', [at('desc', 'last'), id('desc')]],
  ['undated first, mixed orders', [at('asc', 'first'), priority, id('asc')]],
  ['one direction without nulls', [priority, id('desc')]],
] as const)('pages over PostgreSQL meet every row once, both ways: %s', async (_name, columns) => {
  const keyset = createKeyset<Row>(columns);
  const pool = database.system();
  const select = 'select t.at::text as at, t.priority, t.id::text as id from';
  for (const direction of ['forward', 'backward'] satisfies Direction[]) {
    const order = `order by ${keyset.orderBy(direction)}`;
    const whole = await pool.query<Row>(`${select} ${ROWS} ${order}`);
    const seen: Row[] = [];
    let position: KeyValue[] | null = null;
    do {
      const after: { text: string; values: KeyValue[] } = position
        ? keyset.after(position, direction, 2)
        : { text: 'true', values: [] };
      const { rows }: { rows: Row[] } = await pool.query<Row>(
        `${select} ${ROWS} where ${after.text} ${order} limit $1`,
        [3, ...after.values],
      );
      seen.push(...rows);
      const last: Row | undefined = rows.at(-1);
      position = last ? keyset.valuesOf(last) : null;
    } while (position && seen.length <= whole.rows.length);
    expect(seen).toEqual(whole.rows);
  }
});
