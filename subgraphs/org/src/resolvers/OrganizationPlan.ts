import type { OrganizationPlanResolvers } from '../generated/graphql.ts';

export const OrganizationPlan: OrganizationPlanResolvers = {
  name: ({ name, isInForce }) => (isInForce ? name : 'FREE'),
  contractedName: ({ name }) => name,
  isDowngraded: ({ name, isOver }) => isOver && name !== 'FREE',
};
