import { createKeyset, type Page, type Position } from '@taskflow/kit/page';
import type { Tenant } from '@taskflow/kit/tenant-pool';
import { type Database, sqlOf } from './database.ts';

/** Where in a list to read. */
export interface ListQuery {
  page: Page;
  position: Position | null;
}

export interface Aged {
  id: string;
  createdAt: Date;
}

/** Oldest first; `table` is the alias of a table with created_at and id behind org_id in an index. */
export const oldestFirst = (table: string) =>
  createKeyset<Aged>([
    {
      sql: `${table}.created_at`,
      type: 'timestamptz',
      order: 'asc',
      of: (row) => row.createdAt.toISOString(),
    },
    { sql: `${table}.id`, type: 'uuid', order: 'asc', of: (row) => row.id },
  ]);

/** Counting stops here; the SDL promises it. */
export const COUNT_MAX = 10_000;

/** At most `page.size + 1` rows of one tenant's table, oldest first when forward. All texts are ours. */
export function listOldestFirst<Row extends object>(
  database: Database,
  tenant: Tenant,
  source: { columns: string; table: string; alias: string },
  { page, position }: ListQuery,
): Promise<Row[]> {
  const { columns, table, alias } = source;
  const keyset = oldestFirst(alias);
  const beyond = position ? keyset.after(position.values, page.direction, 2) : { text: 'true', values: [] };
  const text = `select ${columns} from ${table} ${alias} where ${alias}.org_id = $1::uuid and ${beyond.text}
    order by ${keyset.orderBy(page.direction)} limit ${page.size + 1}`;
  return database.read(tenant, (tx) => sqlOf(tx).query<Row>(text, [tenant.orgId, ...beyond.values]));
}

/** How many rows the tenant's table has, 10,000 at most. */
export async function countAll(database: Database, tenant: Tenant, table: string): Promise<number> {
  const text = `select count(*)::int as total
    from (select from ${table} where org_id = $1::uuid limit ${COUNT_MAX}) as counted`;
  const [row] = await database.read(tenant, (tx) => sqlOf(tx).query<{ total: number }>(text, [tenant.orgId]));
  return row?.total ?? 0;
}
