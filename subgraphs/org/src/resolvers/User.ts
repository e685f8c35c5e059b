import { viewerOf } from '@taskflow/kit/call';
import type { UserResolvers } from '../generated/graphql.ts';

/**
 * Only members of the viewer's organisation get this far by a reference: a foreign or unknown id answers as somebody who
 * is in no team, which is what the user subgraph's null makes of it anyway.
 */
export const User: UserResolvers = {
  organization: (_, _args, context) => context.loaders.organization.load(viewerOf(context).orgId),
  teams: async ({ id }, _, { loaders }) => {
    const stays = await loaders.staysOfUser.load(id);
    const found = await Promise.all(stays.map(({ teamId }) => loaders.team.load(teamId)));
    return found.filter((team) => team !== null);
  },
};
