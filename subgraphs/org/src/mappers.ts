/** The object that stands behind each GraphQL type; codegen reads this file. */
import type { AuditLine } from '@taskflow/kit/audit-export';
import type { OrganizationRow, TaskVisibility } from './data/organizations.ts';
import type { PlanRow } from './data/plans.ts';
import type { ProjectRow, ProjectTeamRow } from './data/projects.ts';
import type { TeamMemberRow } from './data/team-members.ts';
import type { TeamRow } from './data/teams.ts';

export type OrganizationMapper = OrganizationRow;
export type OrganizationSettingsMapper = { taskVisibility: TaskVisibility };
export type OrganizationPlanMapper = PlanRow;
/** Known by its id alone, here as well: each subgraph answers what it counts. */
export type OrganizationUsageMapper = { id: string };
export type TeamMapper = TeamRow;
export type TeamMemberMapper = TeamMemberRow;
export type ProjectMapper = ProjectRow;
export type ProjectTeamAssignmentMapper = ProjectTeamRow;
/** Known by its id alone; the user subgraph answers the rest. */
export type UserMapper = { id: string };
export type AuditLogMapper = { id: string };
export type AuditEntryMapper = AuditLine;
