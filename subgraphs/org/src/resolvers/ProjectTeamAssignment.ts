import type { ProjectTeamAssignmentResolvers } from '../generated/graphql.ts';
import { teamOf } from './team-of.ts';

export const ProjectTeamAssignment: ProjectTeamAssignmentResolvers = {
  team: ({ teamId }, _, { loaders }) => teamOf(loaders, teamId),
  assignedBy: ({ assignedBy }) => (assignedBy === null ? null : { id: assignedBy }),
};
