import { viewerOf } from '@taskflow/kit/call';
import type { QueryResolvers } from '../generated/graphql.ts';

export const Query: QueryResolvers = {
  organization: (_, _args, context) => context.organizations.getOwn(viewerOf(context)),
  auditLog: (_, _args, context) => ({ id: viewerOf(context).orgId }),
  teams: (_, args, context) => context.teams.list(viewerOf(context), args),
  teamTree: (_, _args, context) => context.teams.tree(viewerOf(context)),
  team: (_, { id }, context) => context.teams.find(viewerOf(context), id),
  projects: (_, args, context) => context.projects.list(viewerOf(context), args),
  project: (_, { id }, context) => context.projects.find(viewerOf(context), id),
};
