import type { Tenant } from '@taskflow/kit/tenant-pool';
import type { Database, sqlOf } from './database.ts';
import { countAll, type ListQuery, listOldestFirst } from './lists.ts';

export interface ProjectRow {
  id: string;
  key: string;
  name: string;
  progress: number;
  createdAt: Date;
  updatedAt: Date;
  archivedAt: Date | null;
  version: number;
}

/** That a project is assigned to a team, by whom and since when. */
export interface ProjectTeamRow {
  projectId: string;
  teamId: string;
  assignedBy: string | null;
  assignedAt: Date;
}

const COLUMNS = `p.id, p.key, p.name, p.progress, p.created_at as "createdAt", p.updated_at as "updatedAt",
  p.archived_at as "archivedAt", p.version`;

/** Named reads of projects. Ids must be well-formed. */
export function projectQueries(database: Database) {
  return {
    list: (tenant: Tenant, query: ListQuery): Promise<ProjectRow[]> =>
      listOldestFirst(database, tenant, { columns: COLUMNS, table: 'projects', alias: 'p' }, query),
    count: (tenant: Tenant): Promise<number> => countAll(database, tenant, 'projects'),

    /** In no order. */
    findMany: (tenant: Tenant, ids: readonly string[]): Promise<ProjectRow[]> =>
      database.read(tenant, (tx) =>
        tx.project.findMany({ where: { orgId: tenant.orgId, id: { in: [...ids] } } }),
      ),

    /** The present assignments of these projects, oldest first. */
    assignmentsOf: (tenant: Tenant, projectIds: readonly string[]): Promise<ProjectTeamRow[]> =>
      database.read(tenant, (tx) =>
        tx.projectTeam.findMany({
          where: { orgId: tenant.orgId, projectId: { in: [...projectIds] }, removedAt: null },
          orderBy: [{ assignedAt: 'asc' }, { id: 'asc' }],
        }),
      ),
  };
}

/** What a transaction may do with projects. Lock a project before its teams. */
export function projectsIn(sql: ReturnType<typeof sqlOf>, orgId: string) {
  return {
    /** Locks the project; null when there is none. */
    async lock(id: string): Promise<ProjectRow | null> {
      const [row] = await sql.query<ProjectRow>(
        `select ${COLUMNS} from projects p where p.org_id = $1::uuid and p.id = $2::uuid for update`,
        [orgId, id],
      );
      return row ?? null;
    },

    /** Null when another project of the organisation has the key. */
    async insert(row: { id: string; key: string; name: string }): Promise<ProjectRow | null> {
      const [inserted] = await sql.query<ProjectRow>(
        `insert into projects as p (org_id, id, key, name) values ($1::uuid, $2::uuid, $3, $4)
           on conflict (org_id, key) do nothing returning ${COLUMNS}`,
        [orgId, row.id, row.key, row.name],
      );
      return inserted ?? null;
    },

    async update(row: { id: string; name: string }): Promise<ProjectRow> {
      const [updated] = await sql.query<ProjectRow>(
        `update projects p set name = $3, updated_at = now(), version = p.version + 1
           where p.org_id = $1::uuid and p.id = $2::uuid returning ${COLUMNS}`,
        [orgId, row.id, row.name],
      );
      return updated as ProjectRow;
    },

    /** The teams that the project is assigned to now, oldest assignment first. */
    async teamIds(projectId: string): Promise<string[]> {
      const rows = await sql.query<{ teamId: string }>(
        `select team_id as "teamId" from project_teams where org_id = $1::uuid and project_id = $2::uuid
           and removed_at is null order by assigned_at, id`,
        [orgId, projectId],
      );
      return rows.map((row) => row.teamId);
    },

    async assign(
      projectId: string,
      teams: readonly { id: string; teamId: string }[],
      by: string,
    ): Promise<void> {
      await sql.query(
        `insert into project_teams (org_id, id, project_id, team_id, assigned_by)
           select $1::uuid, given.id, $2::uuid, given.team_id, $3::uuid
           from unnest($4::uuid[], $5::uuid[]) as given (id, team_id)`,
        [orgId, projectId, by, teams.map((team) => team.id), teams.map((team) => team.teamId)],
      );
    },

    async withdraw(projectId: string, teamIds: readonly string[], by: string): Promise<void> {
      await sql.query(
        `update project_teams set removed_at = now(), removed_by = $4::uuid where org_id = $1::uuid
           and project_id = $2::uuid and team_id = any($3::uuid[]) and removed_at is null`,
        [orgId, projectId, teamIds, by],
      );
    },

    /**
     * Notes what a task adds to progress, unless a newer version is known, and sets the counts of the projects it was
     * and is in anew. A project that is not here is none of ours any more.
     */
    async noteTask(task: TaskProgress): Promise<void> {
      const noted = await sql.query<{ formerId: string | null }>(
        `with former as (select project_id from task_progress where org_id = $1::uuid and task_id = $2::uuid)
         insert into task_progress as t (org_id, task_id, project_id, is_done, is_deleted, version)
           values ($1::uuid, $2::uuid, $3::uuid, $4, $5, $6::int)
           on conflict (org_id, task_id) do update set project_id = excluded.project_id, is_done = excluded.is_done,
             is_deleted = excluded.is_deleted, version = excluded.version where t.version < excluded.version
           returning (select project_id from former) as "formerId"`,
        [orgId, task.taskId, task.projectId, task.isDone, task.isDeleted, task.version],
      );
      if (noted.length === 0) return;
      const projectIds = [task.projectId, noted[0]?.formerId].filter((id) => id != null);
      await sql.query(
        `select from projects where org_id = $1::uuid and id = any($2::uuid[]) order by id for no key update`,
        [orgId, projectIds],
      );
      await sql.query(
        `update projects p set task_count = counted.tasks, done_count = counted.done,
             progress = case when counted.tasks = 0 then 0 else (100 * counted.done) / counted.tasks end
           from (select given.id, count(t.task_id)::int as tasks, count(t.task_id) filter (where t.is_done)::int as done
                 from unnest($2::uuid[]) as given (id)
                   left join task_progress t on t.org_id = $1::uuid and t.project_id = given.id and not t.is_deleted
                 group by given.id) as counted
           where p.org_id = $1::uuid and p.id = counted.id`,
        [orgId, projectIds],
      );
    },
  };
}

export interface TaskProgress {
  taskId: string;
  projectId: string | null;
  isDone: boolean;
  isDeleted: boolean;
  version: number;
}
