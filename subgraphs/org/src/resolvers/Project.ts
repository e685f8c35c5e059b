import { viewerOf } from '@taskflow/kit/call';
import { canUpdateProject } from '../domain/org-policy.ts';
import type { ProjectResolvers } from '../generated/graphql.ts';
import { teamOf } from './team-of.ts';

export const Project: ProjectResolvers = {
  __resolveReference: ({ id }, { loaders }) => loaders.project.load(id),
  teams: async ({ id }, _, { loaders }) => {
    const assignments = await loaders.assignments.load(id);
    return Promise.all(assignments.map(({ teamId }) => teamOf(loaders, teamId)));
  },
  teamAssignments: ({ id }, _, { loaders }) => loaders.assignments.load(id),
  viewerCanUpdate: (_, _args, context) => canUpdateProject(viewerOf(context)),
};
