import { scalars } from '@taskflow/kit/scalars';
import type { Resolvers } from '../generated/graphql.ts';
import { AuditEntry } from './AuditEntry.ts';
import { AuditLog } from './AuditLog.ts';
import { Mutation } from './Mutation.ts';
import { Organization } from './Organization.ts';
import { OrganizationPlan } from './OrganizationPlan.ts';
import { OrganizationUsage } from './OrganizationUsage.ts';
import { Project } from './Project.ts';
import { ProjectTeamAssignment } from './ProjectTeamAssignment.ts';
import { Query } from './Query.ts';
import { Team } from './Team.ts';
import { TeamMember } from './TeamMember.ts';
import { User } from './User.ts';

export const resolvers: Resolvers = {
  ...scalars,
  ...{
    AuditEntry,
    AuditLog,
    Mutation,
    Organization,
    OrganizationPlan,
    OrganizationUsage,
    Project,
    ProjectTeamAssignment,
    Query,
    Team,
    TeamMember,
    User,
  },
};
