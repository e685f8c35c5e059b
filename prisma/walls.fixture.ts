/**
 * Tries every command on every table as every stranger, out of the catalogue: a new table is tried the day it is made.
 *
 *   context    own      sees its tenant's rows and no other
 *              other    a foreign row can be neither read, changed, taken over nor made
 *              unset    an error, loudly
 *              garbage  an error, loudly
 *   commands   select, insert, update, delete
 */
import { randomUUID } from 'node:crypto';
import type { TestDatabase } from '@taskflow/tests/kit/postgres';
import pg from 'pg';

interface Column {
  name: string;
  type: string;
  isNeeded: boolean;
}

interface Table {
  name: string;
  columns: Column[];
  isTenant: boolean;
  isPartition: boolean;
}

/** What a CHECK asks for where any value of the type would not do. The key is a column, or a table and a column. */
const VALUES: Record<string, unknown> = {
  'members.status': 'ACTIVE',
  'signing_keys.status': 'ACTIVE',
  'data_export_parts.part_index': 0,
  'credential_tokens.kind': 'PASSWORD_RESET',
  'mails.template': 'INVITE',
  'projects.key': 'ENG',
  'api_call_counts.month': '2026-11-01',
  'tasks.key': 'ENG-1',
  'audit_entries.action': 'thing.done',
  'audit_entries.details_digest': Buffer.alloc(32),
  'audit_details.salt': Buffer.alloc(16),
  'audit_seals.hash': Buffer.alloc(32),
  'audit_chain.last_hash': Buffer.alloc(32),
  'audit_checkpoints.hash': Buffer.alloc(32),
  role: 'MEMBER',
  prefix: 'ENG',
  kind: 'TASK_ASSIGNED',
  name: 'name',
  email: 'a@b.c',
  token_hash: Buffer.alloc(32),
  account_hash: Buffer.alloc(32),
  scopes: ['READ'],
};

const BY_TYPE: Record<string, () => unknown> = {
  uuid: randomUUID,
  text: () => 'text',
  'character varying': () => 'text',
  integer: () => 1,
  bigint: () => 1,
  boolean: () => false,
  jsonb: () => '{}',
  bytea: () => Buffer.alloc(1),
};

/** Permission denied, or a row that a policy refuses. */
const REFUSED = '42501';
/** No such setting, or a setting that is no uuid. */
const NO_CONTEXT = ['42704', '22P02'];

/** Every way found through a wall, one sentence each. Fills the tables, or `only` this one, with rows of two tenants. */
export async function findLeaks(database: TestDatabase, only?: string): Promise<string[]> {
  const admin = new pg.Client({ connectionString: database.adminUrl });
  const app = new pg.Client({ connectionString: database.appUrl });
  await Promise.all([admin.connect(), app.connect()]);
  try {
    const tables = (await readTables(admin)).filter(({ name }) => only === undefined || name === only);
    const [own, other] = [randomUUID(), randomUUID()];
    await fill(admin, tables, [own, other]);
    const before = await fingerprint(admin, tables, other);
    const leaks: string[] = [];
    for (const table of tables) {
      const tries = table.isTenant && !table.isPartition ? tryTenantTable : tryClosedTable;
      for (const leak of await tries(app, table, own, other)) leaks.push(`${table.name}: ${leak}`);
    }
    if ((await fingerprint(admin, tables, other)) !== before)
      leaks.push('rows of the other tenant have changed');
    return leaks;
  } finally {
    await Promise.all([admin.end(), app.end()]);
  }
}

async function tryTenantTable(app: pg.Client, table: Table, own: string, other: string): Promise<string[]> {
  const t = table.name;
  const leaks: string[] = [];
  const expect = async (what: string, context: string | null, statement: Statement, ...wanted: string[]) => {
    const got = await attempt(app, context, statement);
    if (!wanted.includes(got)) leaks.push(`${what}: ${got} instead of ${wanted.join(' or ')}`);
  };
  const set = { text: `update ${t} set org_id = org_id` };
  const remove = { text: `delete from ${t}` };
  const foreign = ` where org_id = '${other}'`;

  await expect('own rows, read', own, { text: `select from ${t}` }, '1 rows', REFUSED);
  await expect(
    'own rows, read by another tenant',
    own,
    { text: `select from ${t}${foreign}` },
    '0 rows',
    REFUSED,
  );
  await expect('foreign rows, changed', own, { text: set.text + foreign }, '0 rows', REFUSED);
  await expect('foreign rows, deleted', own, { text: remove.text + foreign }, '0 rows', REFUSED);
  await expect('every row, changed', own, set, '1 rows', REFUSED);
  await expect('every row, deleted', own, remove, '1 rows', REFUSED, '23503');
  await expect('a foreign row, made', own, insert(table, other), REFUSED);
  await expect('an own row, given away', own, { text: `update ${t} set org_id = '${other}'` }, REFUSED);
  for (const [name, context] of Object.entries({ unset: null, garbage: 'garbage' })) {
    for (const statement of [{ text: `select from ${t}` }, set, remove, insert(table, own)]) {
      await expect(`${name} context, ${statement.text}`, context, statement, REFUSED, ...NO_CONTEXT);
    }
  }
  return leaks;
}

/** Tables without a tenant, and partitions, are not for the serving role at all. */
async function tryClosedTable(app: pg.Client, table: Table, own: string): Promise<string[]> {
  const column = table.columns.find((column) => column.isNeeded) ?? table.columns[0];
  const statements = [
    { text: `select from ${table.name}` },
    { text: `update ${table.name} set ${column?.name} = ${column?.name}` },
    { text: `delete from ${table.name}` },
    insert(table, own),
  ];
  const leaks: string[] = [];
  for (const statement of statements) {
    const got = await attempt(app, own, statement);
    if (got !== REFUSED) leaks.push(`${statement.text}: ${got} instead of ${REFUSED}`);
  }
  return leaks;
}

interface Statement {
  text: string;
  values?: unknown[];
}

/** Runs it and takes it back: how many rows, or the SQL state. */
async function attempt(app: pg.Client, context: string | null, statement: Statement): Promise<string> {
  await app.query('begin');
  try {
    if (context !== null) await app.query("select set_config('app.org_id', $1, true)", [context]);
    const { rowCount } = await app.query(statement.text, statement.values);
    return `${rowCount} rows`;
  } catch (error) {
    return (error as pg.DatabaseError).code ?? String(error);
  } finally {
    await app.query('rollback');
  }
}

function insert({ name, columns }: Table, orgId: string): Statement {
  const needed = columns.filter((column) => column.isNeeded);
  const values = needed.map((column) => {
    if (column.name === 'org_id') return orgId;
    const value = VALUES[`${name}.${column.name}`] ?? VALUES[column.name] ?? BY_TYPE[column.type]?.();
    if (value === undefined && !column.type.startsWith('timestamp')) {
      throw new Error(`no value for ${name}.${column.name} (${column.type}): add one to VALUES`);
    }
    return value ?? new Date(0);
  });
  const names = needed.map((column) => column.name).join(', ');
  const places = needed.map((_, index) => `$${index + 1}`).join(', ');
  return needed.length === 0
    ? { text: `insert into ${name} default values` }
    : { text: `insert into ${name} (${names}) values (${places})`, values };
}

async function fill(admin: pg.Client, tables: Table[], tenants: string[]): Promise<void> {
  // References are somebody else's test.
  await admin.query("set session_replication_role = 'replica'");
  for (const table of tables.filter((table) => table.isTenant && !table.isPartition)) {
    for (const tenant of tenants) {
      const { text, values } = insert(table, tenant);
      await admin.query(text, values);
    }
  }
  await admin.query('reset session_replication_role');
}

async function fingerprint(admin: pg.Client, tables: Table[], tenant: string): Promise<string> {
  const parts = tables
    .filter((table) => table.isTenant && !table.isPartition)
    .map(({ name }) => `select '${name}' as t, (r.*)::text as v from ${name} r where org_id = '${tenant}'`);
  const { rows } = await admin.query<{ sum: string }>(
    `select md5(string_agg(t || v, ',' order by t, v)) as sum from (${parts.join(' union all ')}) all_rows`,
  );
  return rows[0]?.sum ?? '';
}

async function readTables(admin: pg.Client): Promise<Table[]> {
  const { rows } = await admin.query<Table>(`
    select c.oid::regclass::text as name, c.relispartition as "isPartition",
      bool_or(a.attname = 'org_id') as "isTenant",
      json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, null), 'isNeeded',
        a.attname = 'org_id' or (a.attnotnull and not a.atthasdef and a.attidentity = '')) order by a.attnum) as columns
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') group by c.oid order by 1`);
  return rows;
}
