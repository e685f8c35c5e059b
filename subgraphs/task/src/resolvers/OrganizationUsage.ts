import { viewerOf } from '@taskflow/kit/call';
import type { OrganizationUsageResolvers } from '../generated/graphql.ts';

export const OrganizationUsage: OrganizationUsageResolvers = {
  __resolveReference: ({ id }, { viewer }) => (id === viewer?.orgId ? { id } : null),
  tasks: (_, _args, context) => context.usage.tasks(viewerOf(context)),
};
