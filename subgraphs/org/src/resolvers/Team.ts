import { viewerOf } from '@taskflow/kit/call';
import { canManageMembers, canUpdateTeam } from '../domain/org-policy.ts';
import type { TeamResolvers } from '../generated/graphql.ts';

export const Team: TeamResolvers = {
  __resolveReference: ({ id }, { loaders }) => loaders.team.load(id),
  parent: ({ parentTeamId }, _, { loaders }) =>
    parentTeamId === null ? null : loaders.team.load(parentTeamId),
  children: ({ id }, _, { loaders }) => loaders.childTeams.load(id),
  memberCount: ({ id }, _, { loaders }) => loaders.memberCount.load(id),
  members: ({ id }, args, { loaders }) => loaders.teamMembers(id, args),
  viewerCanUpdate: async ({ id }, _, context) =>
    canUpdateTeam(viewerOf(context), id, await context.loaders.managedTeamIds()),
  viewerCanManageMembers: async ({ id }, _, context) =>
    canManageMembers(viewerOf(context), id, await context.loaders.managedTeamIds()),
};
