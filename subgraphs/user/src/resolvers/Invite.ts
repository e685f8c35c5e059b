import type { InviteResolvers } from '../generated/graphql.ts';

export const Invite: InviteResolvers = {
  invitedBy: ({ createdBy }, _, { loaders }) => loaders.user.load(createdBy),
};
