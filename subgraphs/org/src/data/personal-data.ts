import { gather, textOf } from '@taskflow/kit/personal-data';
import type { Sql } from '@taskflow/kit/tenant-pool';

/** What this service holds about a person: for each list a statement over $1, the organisation, and $2, the person. */
const LISTS = {
  member: `select m.name, m.email, m.role, m.status, m.version from members m
    where m.org_id = $1::uuid and m.id = $2::uuid`,
  teamStays: `select s.id, s.team_id as "teamId", t.name as "teamName", s.role, s.added_by as "addedBy",
      s.joined_at as "joinedAt", s.left_at as "leftAt"
    from team_members s join teams t on t.org_id = s.org_id and t.id = s.team_id
    where s.org_id = $1::uuid and s.user_id = $2::uuid order by s.joined_at, s.id`,
  peopleAddedToTeams: `select s.id, s.team_id as "teamId", s.user_id as "userId", s.role, s.joined_at as "joinedAt"
    from team_members s where s.org_id = $1::uuid and s.added_by = $2::uuid order by s.joined_at, s.id`,
  teamsAssignedToProjects: `select a.id, a.project_id as "projectId", p.name as "projectName", a.team_id as "teamId",
      a.assigned_by = $2::uuid as "isAssignedByPerson", a.assigned_at as "assignedAt",
      a.removed_by = $2::uuid as "isRemovedByPerson", a.removed_at as "removedAt"
    from project_teams a join projects p on p.org_id = a.org_id and p.id = a.project_id
    where a.org_id = $1::uuid and $2::uuid in (a.assigned_by, a.removed_by) order by a.assigned_at, a.id`,
};

export const personalDataIn = (sql: Sql, orgId: string) => ({
  /** As JSON text. Reads whole lists: for a person's own request, now and then. */
  gather: async (userId: string): Promise<string> => textOf(await gather(sql, { orgId, userId }, LISTS)),
});
