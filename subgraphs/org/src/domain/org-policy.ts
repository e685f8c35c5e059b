/** Who may do what to the organisation, its teams and projects. Pure: asks nothing, knows only what it is given. */
import type { Viewer } from '@taskflow/kit/identity';

/** A guest works on single tasks and sees nothing of the organisation's shape. */
export const canSeeStructure = ({ role }: Pick<Viewer, 'role'>): boolean => role !== 'GUEST';

/** Everybody who knows the organisation's shape knows its plan; what it uses counts things that only an ORG_ADMIN all sees. */
export const canSeePlan = canSeeStructure;
export const canSeeUsage = ({ role }: Viewer): boolean => role === 'ORG_ADMIN';

export const canUpdateOrganization = ({ role }: Viewer): boolean => role === 'ORG_ADMIN';
export const canCreateTeams = ({ role }: Viewer): boolean => role === 'ORG_ADMIN';
export const canMoveTeam = ({ role }: Viewer): boolean => role === 'ORG_ADMIN';
export const canCreateProjects = ({ role }: Viewer): boolean => role === 'ORG_ADMIN';
export const canUpdateProject = ({ role }: Viewer): boolean => role === 'ORG_ADMIN';

/** `managedTeamIds`: the teams in which the viewer has the team role MANAGER now. */
export const canUpdateTeam = (viewer: Viewer, teamId: string, managedTeamIds: ReadonlySet<string>): boolean =>
  viewer.role === 'ORG_ADMIN' || (viewer.role === 'MANAGER' && managedTeamIds.has(teamId));

/** Choosing a team's people takes the same as renaming it. */
export const canManageMembers = canUpdateTeam;
