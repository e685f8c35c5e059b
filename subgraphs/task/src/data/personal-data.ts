import { gather, textOf } from '@taskflow/kit/personal-data';
import type { Sql } from '@taskflow/kit/tenant-pool';

const TASK = `select t.id, t.key, t.title, t.description, t.status, t.priority, t.tags, t.assignee_id as "assigneeId",
    t.creator_id as "creatorId", t.project_id as "projectId", t.due_at as "dueAt", t.created_at as "createdAt",
    t.updated_at as "updatedAt", t.archived_at as "archivedAt", t.deleted_at as "deletedAt"
  from tasks t where t.org_id = $1::uuid`;

/** What this service holds about a person: for each list a statement over $1, the organisation, and $2, the person. */
const LISTS = {
  member: `select m.name, m.role, m.status, m.version from members m where m.org_id = $1::uuid and m.id = $2::uuid`,
  tasksCreated: `${TASK} and t.creator_id = $2::uuid order by t.created_at desc, t.id desc`,
  tasksAssigned: `${TASK} and t.assignee_id = $2::uuid and t.creator_id <> $2::uuid order by t.created_at desc, t.id desc`,
  teamStays: `select s.id, s.team_id as "teamId", s.role, s.left_at as "leftAt" from team_members s
    where s.org_id = $1::uuid and s.user_id = $2::uuid order by s.id`,
};

export const personalDataIn = (sql: Sql, orgId: string) => ({
  /** As JSON text, deleted tasks included. Reads whole lists: for a person's own request, now and then. */
  gather: async (userId: string): Promise<string> => textOf(await gather(sql, { orgId, userId }, LISTS)),
});
