import type { Sql } from '@taskflow/kit/tenant-pool';

/** A team, from the facts of org. */
export interface TeamRow {
  id: string;
  name: string;
  parentTeamId: string | null;
  version: number;
}

/** One stay of a person in a team, from the facts of org. */
export interface TeamMemberRow {
  id: string;
  teamId: string;
  userId: string;
  role: string;
  leftAt: string | null;
  version: number;
}

export function teamsIn(sql: Sql, orgId: string) {
  return {
    /** Keeps the newest version. */
    async note(team: TeamRow): Promise<void> {
      await sql.query(
        `insert into teams as t (org_id, id, parent_team_id, name, version)
           values ($1::uuid, $2::uuid, $3::uuid, $4, $5::int)
           on conflict (org_id, id) do update set parent_team_id = excluded.parent_team_id, name = excluded.name,
             version = excluded.version where t.version < excluded.version`,
        [orgId, team.id, team.parentTeamId, team.name, team.version],
      );
    },

    /** Keeps the newest version. The role before, null for none or after leaving; null when this is not newer. */
    async noteMember(entry: TeamMemberRow): Promise<{ formerRole: string | null } | null> {
      const [noted] = await sql.query<{ formerRole: string | null }>(
        `with former as (
           select role from team_members where org_id = $1::uuid and id = $2::uuid and left_at is null)
         insert into team_members as m (org_id, id, team_id, user_id, role, left_at, version)
           values ($1::uuid, $2::uuid, $3::uuid, $4::uuid, $5, $6::timestamptz, $7::int)
           on conflict (org_id, id) do update set role = excluded.role, left_at = excluded.left_at,
             version = excluded.version where m.version < excluded.version
           returning (select role from former) as "formerRole"`,
        [orgId, entry.id, entry.teamId, entry.userId, entry.role, entry.leftAt, entry.version],
      );
      return noted ?? null;
    },

    /** Who is in one of these teams now: everybody, or those who manage one. */
    async peopleOf(
      teamIds: readonly string[],
      { onlyManagers }: { onlyManagers: boolean },
    ): Promise<string[]> {
      const rows = await sql.query<{ userId: string }>(
        `select distinct user_id as "userId" from team_members where org_id = $1::uuid
           and team_id = any($2::uuid[]) and left_at is null ${onlyManagers ? "and role = 'MANAGER'" : ''}`,
        [orgId, teamIds],
      );
      return rows.map((row) => row.userId);
    },
  };
}
