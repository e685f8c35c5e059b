import {
  createFilter,
  type Filter,
  idColumn,
  instantColumn,
  Parameters,
  textColumn,
  textsColumn,
} from '@taskflow/kit/filter';
import { createKeyset, type Keyset, type Page, type Position } from '@taskflow/kit/page';
import type { Tenant } from '@taskflow/kit/tenant-pool';
import { type Database, sqlOf } from './database.ts';
import { COLUMNS, type Condition, type TaskRow } from './tasks.ts';

export interface TaskOrder {
  field: 'CREATED_AT' | 'UPDATED_AT' | 'DUE_AT';
  direction: 'ASC' | 'DESC';
}

/** Which tasks a list has. */
export interface Narrowing {
  condition: Condition;
  filter: Filter | null;
  /** As websearch_to_tsquery reads it. */
  words: string | null;
  /** What relative dates of the filter count from. */
  now: Date;
  viewerId: string;
}

export interface ListQuery {
  order: TaskOrder;
  page: Page;
  position: Position | null;
}

/** The order in which a list stands when nothing else is asked for. */
export const NEWEST_FIRST: TaskOrder = { field: 'CREATED_AT', direction: 'DESC' };

/** Counting stops here; the SDL promises it. */
const COUNT_MAX = 10_000;

/** Lower and upper bounds each on the column whose stand-in for "none" never passes them, so that an index serves both. */
const dueAt: ReturnType<typeof instantColumn> = ({ lt, lte, gt, gte, ...rest }, parameters, scope) => [
  ...instantColumn('t.due_order_asc')({ lt, lte }, parameters, scope),
  ...instantColumn('t.due_order_desc')({ gt, gte }, parameters, scope),
  ...instantColumn('t.due_at')(rest, parameters, scope),
];

const filterSql = createFilter({
  status: textColumn('t.status'),
  priority: textColumn('t.priority'),
  assignee: idColumn('t.assignee_id'),
  creator: idColumn('t.creator_id'),
  project: idColumn('t.project_id'),
  // Overlap through the owner's function: under row security the operator itself cannot use the index.
  tags: textsColumn('t.tags', (list) => `t.id in (select task_ids_with_any_tag(${list}))`),
  dueAt,
  createdAt: instantColumn('t.created_at'),
  updatedAt: instantColumn('t.updated_at'),
});

const keysets = {
  CREATED_AT: keysetsOn('t.created_at', 't.created_at', (row) => row.createdAt.toISOString()),
  UPDATED_AT: keysetsOn('t.updated_at', 't.updated_at', (row) => row.updatedAt.toISOString()),
  DUE_AT: keysetsOn('t.due_order_asc', 't.due_order_desc', (row, whenNone) =>
    row.dueAt === null ? whenNone : row.dueAt.toISOString(),
  ),
};

function keysetsOn(asc: string, desc: string, of: (row: TaskRow, whenNone: string) => string) {
  const keyset = (sql: string, order: 'asc' | 'desc', whenNone: string) =>
    createKeyset<TaskRow>([
      { sql, type: 'timestamptz', order, of: (row) => of(row, whenNone) },
      { sql: 't.id', type: 'uuid', order, of: (row) => row.id },
    ]);
  return { ASC: keyset(asc, 'asc', 'infinity'), DESC: keyset(desc, 'desc', '-infinity') };
}

/** Each is served by an index that starts with the organisation. */
export const keysetOf = ({ field, direction }: TaskOrder): Keyset<TaskRow> => keysets[field][direction];

export function taskListQueries(database: Database) {
  const read = <R>(tenant: Tenant, text: string, values: readonly unknown[]) =>
    database.read(tenant, (tx) => sqlOf(tx).query<R>(text, values));

  return {
    /** At most `page.size + 1` rows, in the order asked for when forward, mirrored when backward. */
    list: (tenant: Tenant, narrowing: Narrowing, query: ListQuery): Promise<TaskRow[]> => {
      const parameters = new Parameters();
      const where = whereOf(tenant, narrowing, parameters);
      const text = `select ${COLUMNS} from tasks t where ${where} and ${pageOf(query, parameters)}`;
      return read<TaskRow>(tenant, text, parameters.values);
    },

    /** How many the list has, 10,000 at most. */
    count: async (tenant: Tenant, narrowing: Narrowing): Promise<number> => {
      const parameters = new Parameters();
      const where = whereOf(tenant, narrowing, parameters);
      const text = `select count(*)::int as total from (select from tasks t where ${where} limit ${COUNT_MAX}) as counted`;
      const [row] = await read<{ total: number }>(tenant, text, parameters.values);
      return row?.total ?? 0;
    },

    /** A page of each project in one statement, in no order of projects. */
    listForProjects: (
      tenant: Tenant,
      projectIds: readonly string[],
      condition: Condition,
      query: ListQuery,
    ): Promise<TaskRow[]> => {
      const parameters = new Parameters();
      const ids = parameters.add(projectIds, 'uuid[]');
      const where = ofProject(tenant, condition, parameters);
      const text = `select page.* from unnest(${ids}) as project (id) cross join lateral (
        select ${COLUMNS} from tasks t where ${where} and ${pageOf(query, parameters)}) as page`;
      return read<TaskRow>(tenant, text, parameters.values);
    },

    /** How many each project has, 10,000 at most. */
    countForProjects: (
      tenant: Tenant,
      projectIds: readonly string[],
      condition: Condition,
    ): Promise<{ projectId: string; count: number }[]> => {
      const parameters = new Parameters();
      const ids = parameters.add(projectIds, 'uuid[]');
      const where = ofProject(tenant, condition, parameters);
      const text = `select project.id as "projectId", counted.total as count
        from unnest(${ids}) as project (id) cross join lateral (select count(*)::int as total
          from (select from tasks t where ${where} limit ${COUNT_MAX}) as found) as counted`;
      return read(tenant, text, parameters.values);
    },
  };
}

function whereOf(tenant: Tenant, narrowing: Narrowing, parameters: Parameters): string {
  const { condition, filter, words, now, viewerId } = narrowing;
  const parts = [
    `t.org_id = ${parameters.add(tenant.orgId, 'uuid')} and t.deleted_at is null`,
    condition(parameters),
    filterSql(filter, parameters, { now, viewerId }),
  ];
  if (words !== null) parts.push(`t.id in (select search_task_ids(${parameters.add(words, 'text')}))`);
  return parts.join(' and ');
}

function ofProject(tenant: Tenant, condition: Condition, parameters: Parameters): string {
  const org = parameters.add(tenant.orgId, 'uuid');
  return `t.org_id = ${org} and t.project_id = project.id and t.deleted_at is null and ${condition(parameters)}`;
}

function pageOf({ order, page, position }: ListQuery, parameters: Parameters): string {
  const keyset = keysetOf(order);
  let beyond = 'true';
  if (position) {
    const condition = keyset.after(position.values, page.direction, parameters.values.length + 1);
    parameters.values.push(...condition.values);
    beyond = condition.text;
  }
  return `${beyond} order by ${keyset.orderBy(page.direction)} limit ${page.size + 1}`;
}
