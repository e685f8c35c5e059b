import { canChangeRole, canRemove, canSuspend } from '../domain/people-policy.ts';
import type { UserResolvers } from '../generated/graphql.ts';

export const User: UserResolvers = {
  __resolveReference: ({ id }, { loaders }) => loaders.user.load(id),
  emailVerifiedAt: ({ id }, _, { loaders }) => loaders.emailVerifiedAt.load(id),
  identities: ({ id }, _, { viewer, providerSignIn }) =>
    viewer && id === viewer.userId ? providerSignIn.listIdentities(viewer) : null,
  isViewer: ({ id }, _, { viewer }) => id === viewer?.userId,
  memberships: ({ id }, _, { loaders }) => loaders.memberships.load(id),
  viewerCanChangeRole: async (row, _, { loaders }) => canChangeRole(await loaders.authority(), row),
  viewerCanSuspend: async (row, _, { loaders }) => canSuspend(await loaders.authority(), row),
  viewerCanRemove: async (row, _, { loaders }) => canRemove(await loaders.authority(), row),
};
