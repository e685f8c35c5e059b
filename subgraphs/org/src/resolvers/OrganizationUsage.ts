import { viewerOf } from '@taskflow/kit/call';
import type { OrganizationUsageResolvers } from '../generated/graphql.ts';

/** GraphQL's Int ends here, 800 calls a second for a month; who has more reads that they have as many. */
const INT_MAX = 2_147_483_647;

export const OrganizationUsage: OrganizationUsageResolvers = {
  __resolveReference: async ({ id }, { loaders }) => ((await loaders.organization.load(id)) ? { id } : null),
  projects: (_, _args, context) => context.usage.projects(viewerOf(context)),
  apiCalls: async (_, _args, context) => {
    const calls = await context.usage.apiCalls(viewerOf(context));
    return calls && { ...calls, used: Math.min(calls.used, INT_MAX) };
  },
};
