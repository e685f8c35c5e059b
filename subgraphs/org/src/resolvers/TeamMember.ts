import type { TeamMemberResolvers } from '../generated/graphql.ts';
import { teamOf } from './team-of.ts';

export const TeamMember: TeamMemberResolvers = {
  team: ({ teamId }, _, { loaders }) => teamOf(loaders, teamId),
  user: ({ userId }) => ({ id: userId }),
};
