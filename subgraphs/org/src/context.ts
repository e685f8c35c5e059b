import type { BuildContext, RequestContext } from '@taskflow/kit/service';
import type { Organizations } from './domain/organizations.ts';
import type { Projects } from './domain/projects.ts';
import type { TeamMembers } from './domain/team-members.ts';
import type { Teams } from './domain/teams.ts';
import { createLoaders, type Loaders } from './loaders.ts';

export interface ContextDeps {
  organizations: Organizations;
  teams: Teams;
  teamMembers: TeamMembers;
  projects: Projects;
}

/** What a resolver sees: who asks, the use cases, and loaders that live for one request. */
export interface Context extends RequestContext, ContextDeps {
  loaders: Loaders;
}

export const createContextFactory =
  (deps: ContextDeps): BuildContext =>
  ({ viewer }) => ({ ...deps, loaders: createLoaders(deps, viewer) });
