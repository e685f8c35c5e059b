/** What a filter means is what PostgreSQL makes of it: each is run over rows and compared with the rule in words. */
import { aDatabase } from '@taskflow/tests/kit/postgres';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createFilter,
  type Filter,
  idColumn,
  instantColumn,
  Parameters,
  textColumn,
  textsColumn,
} from './filter.ts';
import { scalars } from './scalars.ts';

const ADA = '01900000-0000-7000-8000-00000000000a';
const GRACE = '01900000-0000-7000-8000-00000000000b';
const now = new Date('2026-06-15T12:00:00Z');
const moment = (text: string) => scalars.DateTimeOrDuration.parseValue(text);

const rows = `(values
  (1, 'TODO', '${ADA}'::uuid, '2026-06-14T00:00:00Z'::timestamptz, array['a', 'b']),
  (2, 'DONE', '${GRACE}'::uuid, '2026-06-16T00:00:00Z'::timestamptz, array['b']),
  (3, 'TODO', null::uuid, null::timestamptz, array[]::text[])
) as t (id, status, assignee, due_at, tags)`;

const filterSql = createFilter({
  status: textColumn('t.status'),
  assignee: idColumn('t.assignee'),
  dueAt: instantColumn('t.due_at'),
  tags: textsColumn('t.tags'),
});

let client: pg.Client;
beforeAll(async () => {
  const { adminUrl } = await aDatabase('task');
  client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
});
afterAll(() => client.end());

async function ids(filter: Filter | null): Promise<number[]> {
  const parameters = new Parameters();
  const where = filterSql(filter, parameters, { now, viewerId: ADA });
  const answer = await client.query(`select id from ${rows} where ${where} order by id`, parameters.values);
  return answer.rows.map((row) => row.id);
}

const table: [string, Filter | null, number[]][] = [
  ['no filter lets everything pass', null, [1, 2, 3]],
  ['an absent comparator lets everything pass', { status: null, assignee: {} }, [1, 2, 3]],
  ['eq', { status: { eq: 'TODO' } }, [1, 3]],
  ['in, with an empty list, matches nothing', { status: { in: [] } }, []],
  ['neq of a reference holds for nobody as well', { assignee: { neq: ADA } }, [2, 3]],
  ['nin of a reference holds for nobody as well', { assignee: { nin: [ADA] } }, [2, 3]],
  ['null', { assignee: { null: true } }, [3]],
  ['isViewer', { assignee: { isViewer: true } }, [1]],
  ['isViewer: false holds for nobody as well', { assignee: { isViewer: false } }, [2, 3]],
  ['a malformed id is one that nothing has', { assignee: { eq: 'x' } }, []],
  ['a malformed id among others changes nothing', { assignee: { in: ['x', ADA] } }, [1]],
  ['an absent instant fulfils no comparison', { dueAt: { lt: moment('P1Y') } }, [1, 2]],
  ['a relative date counts from now', { dueAt: { lt: moment('PT0S'), gt: moment('-P2D') } }, [1]],
  ['not is the exact complement, absent values included', { not: { dueAt: { lt: moment('P1Y') } } }, [3]],
  ['some', { tags: { some: { eq: 'a' } } }, [1]],
  ['every holds for no labels', { tags: { every: { in: ['b'] } } }, [2, 3]],
  ['none', { tags: { none: { in: ['a'] } } }, [2, 3]],
  ['or', { or: [{ status: { eq: 'DONE' } }, { assignee: { null: true } }] }, [2, 3]],
  ['or, with an empty list, matches nothing', { or: [] }, []],
  ['and, with an empty list, lets everything pass', { and: [] }, [1, 2, 3]],
  ['all that is given must hold', { status: { eq: 'TODO' }, assignee: { null: false } }, [1]],
  ['text of a hostile client stays a value', { status: { eq: "'; drop table tasks; --" } }, []],
];

describe('a filter', () => {
  it.each(table)('%s', async (_title, filter, expected) => {
    expect(await ids(filter)).toEqual(expected);
  });

  it('is refused when it is too deep, too wide, or names what is no field', async () => {
    const deep = (depth: number): Filter => (depth === 0 ? {} : { not: deep(depth - 1) });
    await expect(ids(deep(5))).resolves.toEqual([]);
    await expect(ids(deep(6))).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });
    const wide = { or: Array.from({ length: 101 }, () => ({ status: { eq: 'TODO' } })) };
    await expect(ids(wide)).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });
    await expect(ids({ password: { eq: 'x' } })).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });
    await expect(ids({ status: { in: Array(101).fill('TODO') } })).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
    });
  });
});
