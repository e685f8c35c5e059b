import { viewerOf } from '@taskflow/kit/call';
import {
  canCreateProjects,
  canCreateTeams,
  canSeePlan,
  canUpdateOrganization,
} from '../domain/org-policy.ts';
import type { OrganizationResolvers } from '../generated/graphql.ts';

export const Organization: OrganizationResolvers = {
  __resolveReference: ({ id }, { loaders }) => loaders.organization.load(id),
  plan: (_, _args, context) => {
    const viewer = viewerOf(context);
    return canSeePlan(viewer) ? context.plans.getOwn(viewer) : null;
  },
  usage: ({ id }) => ({ id }),
  settings: ({ taskVisibility }) => ({ taskVisibility }),
  viewerCanUpdate: (_, _args, context) => canUpdateOrganization(viewerOf(context)),
  viewerCanCreateTeams: (_, _args, context) => canCreateTeams(viewerOf(context)),
  viewerCanCreateProjects: (_, _args, context) => canCreateProjects(viewerOf(context)),
};
