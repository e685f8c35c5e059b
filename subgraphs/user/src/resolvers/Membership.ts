import { canSwitchTo } from '../domain/memberships.ts';
import type { MembershipResolvers } from '../generated/graphql.ts';

export const Membership: MembershipResolvers = {
  isCurrent: ({ organizationId }, _, { viewer }) => organizationId === viewer?.orgId,
  viewerCanSwitch: (row) => canSwitchTo(row),
};
