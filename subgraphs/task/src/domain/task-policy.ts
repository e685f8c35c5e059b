/**
 * Who sees and who changes a task: the one place. The rule is said twice, side by side, and a test over random worlds
 * holds the two equal: `canSee` for a row in hand, `visibleTo` for all rows in SQL.
 *
 *   ORG_ADMIN   every task
 *   MANAGER     created, assigned, and those of the projects of teams they manage (team role MANAGER)
 *   MEMBER      the same; where the setting taskVisibility is PROJECT also those of the projects of all their teams
 *   GUEST       assigned
 */
import type { Parameters } from '@taskflow/kit/filter';
import type { Role, RoleReader, Viewer } from '@taskflow/kit/identity';
import type { ProjectOfPerson } from '../data/projects.ts';
import type { Condition } from '../data/tasks.ts';

/** What the rule looks at: of a row, or of an image in a fact. */
export interface PolicySubject {
  readonly assigneeId: string | null;
  readonly creatorId: string;
  readonly projectId: string | null;
}

/** What a viewer sees beyond their own tasks, at one moment. */
export interface Sight {
  readonly viewer: Pick<RoleReader, 'orgId' | 'userId' | 'role'>;
  /** Projects of teams that the viewer manages. */
  readonly managedProjectIds: ReadonlySet<string>;
  /** Further projects whose tasks the viewer sees. */
  readonly sharedProjectIds: ReadonlySet<string>;
}

/** Who the viewer is. A group is nobody: what a person sees beyond their role is not to be had for it. */
export function personOf({ userId }: Pick<RoleReader, 'userId'>): string {
  if (userId === undefined) throw new Error('What depends on the person cannot be read for a group.');
  return userId;
}

/** Whether team memberships mean anything to what this role sees. */
export const looksAtTeams = (role: Role): boolean => role === 'MANAGER' || role === 'MEMBER';

/** Whether the setting taskVisibility means anything to what this role sees. */
export const looksAtSettings = (role: Role): boolean => role === 'MEMBER';

/** A guest works on single tasks and sees nothing of the organisation's shape. */
export const canSeeProjects = ({ role }: Pick<Viewer, 'role'>): boolean => role !== 'GUEST';

/** `projects`: those of the viewer's teams. */
export function sightOf(viewer: Sight['viewer'], projects: readonly ProjectOfPerson[]): Sight {
  const { role } = viewer;
  const managed = looksAtTeams(role) ? projects.filter(({ isManaged }) => isManaged) : [];
  const shared = projects.filter(
    ({ taskVisibility }) => looksAtSettings(role) && taskVisibility === 'PROJECT',
  );
  return {
    viewer,
    managedProjectIds: new Set(managed.map(({ projectId }) => projectId)),
    sharedProjectIds: new Set(shared.map(({ projectId }) => projectId)),
  };
}

export function canSee(sight: Sight, task: PolicySubject): boolean {
  const { role } = sight.viewer;
  if (role === 'ORG_ADMIN') return true;
  const userId = personOf(sight.viewer);
  if (task.assigneeId === userId) return true;
  if (role === 'GUEST') return false;
  return task.creatorId === userId || manages(sight, task) || isShared(sight, task);
}

/** The same in SQL, over `tasks t`; for rows of the viewer's organisation. */
export function visibleTo(viewer: Sight['viewer']): Condition {
  const { orgId, role } = viewer;
  return (parameters: Parameters): string => {
    if (role === 'ORG_ADMIN') return 'true';
    const user = parameters.add(personOf(viewer), 'uuid');
    if (role === 'GUEST') return `t.assignee_id = ${user}`;
    const org = parameters.add(orgId, 'uuid');
    const isShared = `exists (
      select from organization_settings s where s.org_id = ${org} and s.task_visibility = 'PROJECT')`;
    return `(t.assignee_id = ${user} or t.creator_id = ${user} or t.project_id in (
      select pt.project_id from team_members m join project_teams pt on pt.org_id = m.org_id and pt.team_id = m.team_id
        where m.org_id = ${org} and m.user_id = ${user} and m.left_at is null
          and (m.role = 'MANAGER' ${looksAtSettings(role) ? `or ${isShared}` : ''})))`;
  };
}

/** Of a task that the viewer sees. One that is seen because a project is shared may not be changed. */
export function canUpdate(sight: Sight, task: PolicySubject): boolean {
  return personOf(sight.viewer) === task.assigneeId || canDelete(sight, task);
}

/** Of a task that the viewer sees. */
export function canDelete(sight: Sight, task: PolicySubject): boolean {
  const { role } = sight.viewer;
  if (role === 'ORG_ADMIN') return true;
  return role !== 'GUEST' && (task.creatorId === personOf(sight.viewer) || manages(sight, task));
}

/** How many tasks there are in all tells of tasks that only an ORG_ADMIN sees. */
export const canSeeUsage = ({ role }: Pick<Viewer, 'role'>): boolean => role === 'ORG_ADMIN';

/** A guest would not see what they have made. */
export const canCreate = ({ role }: Pick<Viewer, 'role'>): boolean => role !== 'GUEST';

/** A guest knows nobody but themselves. */
export const canAssign = (
  { role, userId }: Pick<RoleReader, 'role' | 'userId'>,
  assigneeId: string,
): boolean => role !== 'GUEST' || assigneeId === userId;

const manages = ({ managedProjectIds }: Sight, { projectId }: PolicySubject): boolean =>
  projectId !== null && managedProjectIds.has(projectId);

const isShared = ({ sharedProjectIds }: Sight, { projectId }: PolicySubject): boolean =>
  projectId !== null && sharedProjectIds.has(projectId);
