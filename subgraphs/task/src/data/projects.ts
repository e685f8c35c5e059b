import type { Sql, Tenant } from '@taskflow/kit/tenant-pool';
import { type Database, sqlOf } from './database.ts';

/** A project, from the facts of org. */
export interface ProjectRow {
  id: string;
  key: string;
  name: string;
  version: number;
}

/** A project of one of a person's teams. */
export interface ProjectOfPerson {
  projectId: string;
  /** Whether the person manages one of its teams. */
  isManaged: boolean;
  /** The organisation's setting; null for the default. */
  taskVisibility: string | null;
}

export function projectQueries(database: Database) {
  return {
    /** Null when it has not arrived, or never will. */
    find: async (tenant: Tenant, id: string): Promise<ProjectRow | null> => {
      const [row] = await database.read(tenant, (tx) =>
        sqlOf(tx).query<ProjectRow>(
          'select id, key, name, version from projects where org_id = $1::uuid and id = $2::uuid',
          [tenant.orgId, id],
        ),
      );
      return row ?? null;
    },

    /** The projects of the teams that the person is in now, in no order. */
    ofPerson: (tenant: Tenant, userId: string): Promise<ProjectOfPerson[]> =>
      database.read(tenant, (tx) =>
        sqlOf(tx).query<ProjectOfPerson>(
          `select pt.project_id as "projectId", bool_or(m.role = 'MANAGER') as "isManaged",
               (select s.task_visibility from organization_settings s where s.org_id = $1::uuid) as "taskVisibility"
             from team_members m
               join project_teams pt on pt.org_id = m.org_id and pt.team_id = m.team_id
             where m.org_id = $1::uuid and m.user_id = $2::uuid and m.left_at is null
             group by pt.project_id`,
          [tenant.orgId, userId],
        ),
      ),
  };
}

export function projectsIn(sql: Sql, orgId: string) {
  return {
    /** Keeps the newest version with its teams. The teams before, null for a new project; null when this is not newer. */
    async note(
      project: ProjectRow & { teamIds: readonly string[] },
    ): Promise<{ formerTeamIds: string[] | null } | null> {
      const [noted] = await sql.query<{ isKnown: boolean; teamIds: string[] }>(
        `with former as (select 1 from projects where org_id = $1::uuid and id = $2::uuid)
         insert into projects as p (org_id, id, key, name, version) values ($1::uuid, $2::uuid, $3, $4, $5::int)
           on conflict (org_id, id) do update set key = excluded.key, name = excluded.name, version = excluded.version
             where p.version < excluded.version
           returning exists (select from former) as "isKnown", array(
             select team_id::text from project_teams where org_id = $1::uuid and project_id = $2::uuid) as "teamIds"`,
        [orgId, project.id, project.key, project.name, project.version],
      );
      if (!noted) return null;
      await replaceTeams(project.id, project.teamIds);
      return { formerTeamIds: noted.isKnown ? noted.teamIds : null };
    },

    /** Whether the team has a project. */
    async hasTeam(teamId: string): Promise<boolean> {
      const rows = await sql.query(
        'select 1 as found from project_teams where org_id = $1::uuid and team_id = $2::uuid limit 1',
        [orgId, teamId],
      );
      return rows.length > 0;
    },
  };

  async function replaceTeams(projectId: string, teamIds: readonly string[]): Promise<void> {
    await sql.query(
      `delete from project_teams where org_id = $1::uuid and project_id = $2::uuid and team_id <> all($3::uuid[])`,
      [orgId, projectId, teamIds],
    );
    await sql.query(
      `insert into project_teams (org_id, project_id, team_id) select $1::uuid, $2::uuid, unnest($3::uuid[])
         on conflict do nothing`,
      [orgId, projectId, teamIds],
    );
  }
}
