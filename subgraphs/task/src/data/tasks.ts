import { Parameters } from '@taskflow/kit/filter';
import type { Sql, Tenant } from '@taskflow/kit/tenant-pool';
import { type Database, sqlOf } from './database.ts';

export type TaskStatus = 'BACKLOG' | 'TODO' | 'IN_PROGRESS' | 'IN_REVIEW' | 'DONE' | 'CANCELED';
export type TaskPriority = 'NONE' | 'LOW' | 'MEDIUM' | 'HIGH' | 'URGENT';

export interface TaskRow {
  id: string;
  /** `ENG-42`; never changes. */
  key: string;
  title: string;
  description: string | null;
  status: TaskStatus;
  priority: TaskPriority;
  /** In alphabetical order, each once. */
  tags: string[];
  assigneeId: string | null;
  creatorId: string;
  projectId: string | null;
  dueAt: Date | null;
  createdAt: Date;
  updatedAt: Date;
  archivedAt: Date | null;
  deletedAt: Date | null;
  version: number;
}

/** What a person may set. */
export type TaskValues = Pick<
  TaskRow,
  'title' | 'description' | 'status' | 'priority' | 'tags' | 'assigneeId' | 'projectId' | 'dueAt'
>;

/** A condition on the table `tasks t`, from our own text and numbered parameters: who may see it, for instance. */
export type Condition = (parameters: Parameters) => string;

export const COLUMNS = `t.id, t.key, t.title, t.description, t.status, t.priority, t.tags,
  t.assignee_id as "assigneeId", t.creator_id as "creatorId", t.project_id as "projectId", t.due_at as "dueAt",
  t.created_at as "createdAt", t.updated_at as "updatedAt", t.archived_at as "archivedAt",
  t.deleted_at as "deletedAt", t.version`;

/** Named reads of tasks by id or person. Ids must be well-formed. */
export function taskQueries(database: Database) {
  return {
    /** Those of `ids` for which the condition holds, in no order. */
    findMany: (
      tenant: Tenant,
      ids: readonly string[],
      condition: Condition,
      { includeDeleted = false } = {},
    ): Promise<TaskRow[]> => {
      const parameters = new Parameters();
      const org = parameters.add(tenant.orgId, 'uuid');
      const text = `select ${COLUMNS} from tasks t
        where t.org_id = ${org} and t.id = any(${parameters.add(ids, 'uuid[]')})
          ${includeDeleted ? '' : 'and t.deleted_at is null'} and ${condition(parameters)}`;
      return database.read(tenant, (tx) => sqlOf(tx).query<TaskRow>(text, parameters.values));
    },

    /** How many open tasks each person is assigned to; people without any are left out. */
    openCounts: (
      tenant: Tenant,
      userIds: readonly string[],
      condition: Condition,
    ): Promise<{ userId: string; count: number }[]> => {
      const parameters = new Parameters();
      const org = parameters.add(tenant.orgId, 'uuid');
      const text = `select t.assignee_id as "userId", count(*)::int as count from tasks t
        where t.org_id = ${org} and t.assignee_id = any(${parameters.add(userIds, 'uuid[]')})
          and t.deleted_at is null and t.status not in ('DONE', 'CANCELED') and ${condition(parameters)}
        group by t.assignee_id`;
      return database.read(tenant, (tx) => sqlOf(tx).query(text, parameters.values));
    },
  };
}

export interface NewTask extends TaskValues {
  id: string;
  creatorId: string;
  /** What its key starts with: the key of its project, or TASK. */
  prefix: string;
}

/** What a transaction may do with tasks. */
export function tasksIn(sql: Sql, orgId: string) {
  return {
    /** Locks the task if it is there and the condition holds; otherwise null. */
    async lock(id: string, condition: Condition): Promise<TaskRow | null> {
      const parameters = new Parameters();
      const org = parameters.add(orgId, 'uuid');
      const [row] = await sql.query<TaskRow>(
        `select ${COLUMNS} from tasks t where t.org_id = ${org} and t.id = ${parameters.add(id, 'uuid')}
           and t.deleted_at is null and ${condition(parameters)} for update of t`,
        parameters.values,
      );
      return row ?? null;
    },

    /**
     * Takes the next number of the prefix and inserts, in one statement; other creations under the prefix wait until
     * the transaction ends, and a number that is rolled back is given again. Null when the id is taken.
     */
    async insert(task: NewTask): Promise<TaskRow | null> {
      const [row] = await sql.query<TaskRow>(
        `with counter as (
           insert into task_counters as c (org_id, prefix, last_number) values ($1::uuid, $2, 1)
             on conflict (org_id, prefix) do update set last_number = c.last_number + 1 returning c.last_number)
         insert into tasks as t (org_id, id, number, key, title, description, status, priority, tags,
             assignee_id, creator_id, project_id, due_at)
           select $1::uuid, $3::uuid, last_number, $2 || '-' || last_number, $4, $5, $6, $7, $8::text[],
             $9::uuid, $10::uuid, $11::uuid, $12::timestamptz from counter
           on conflict (org_id, id) do nothing returning ${COLUMNS}`,
        [orgId, task.prefix, task.id, ...valuesOf(task, task.creatorId)],
      );
      return row ?? null;
    },

    /** Writes all values and counts the version up. The row must be locked. */
    async update(id: string, values: TaskValues): Promise<TaskRow> {
      const [row] = await sql.query<TaskRow>(
        `update tasks t set title = $3, description = $4, status = $5, priority = $6, tags = $7::text[],
             assignee_id = $8::uuid, project_id = $9::uuid, due_at = $10::timestamptz,
             updated_at = clock_timestamp(), version = t.version + 1
           where t.org_id = $1::uuid and t.id = $2::uuid returning ${COLUMNS}`,
        [orgId, id, ...valuesOf(values)],
      );
      return row as TaskRow;
    },

    /** Every task that is assigned to somebody, deleted ones included, locked in one order. */
    lockAssignedTo: (userId: string): Promise<TaskRow[]> =>
      sql.query<TaskRow>(
        `select ${COLUMNS} from tasks t where t.org_id = $1::uuid and t.assignee_id = $2::uuid
           order by t.id for update of t`,
        [orgId, userId],
      ),

    /** The row must be locked. */
    async unassign(id: string): Promise<TaskRow> {
      const [row] = await sql.query<TaskRow>(
        `update tasks t set assignee_id = null, updated_at = clock_timestamp(), version = t.version + 1
           where t.org_id = $1::uuid and t.id = $2::uuid returning ${COLUMNS}`,
        [orgId, id],
      );
      return row as TaskRow;
    },

    /** Takes the task out of every list. The row must be locked. */
    async markDeleted(id: string): Promise<TaskRow> {
      const [row] = await sql.query<TaskRow>(
        `update tasks t set deleted_at = clock_timestamp(), updated_at = clock_timestamp(), version = t.version + 1
           where t.org_id = $1::uuid and t.id = $2::uuid returning ${COLUMNS}`,
        [orgId, id],
      );
      return row as TaskRow;
    },
  };
}

function valuesOf(values: TaskValues, ...afterAssignee: readonly string[]): unknown[] {
  const { title, description, status, priority, tags, assigneeId, projectId, dueAt } = values;
  const isoDueAt = dueAt?.toISOString() ?? null;
  return [title, description, status, priority, tags, assigneeId, ...afterAssignee, projectId, isoDueAt];
}
