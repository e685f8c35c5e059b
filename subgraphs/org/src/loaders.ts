import type { RoleReader, Viewer } from '@taskflow/kit/identity';
import { byKey, createLoader, groupByKey } from '@taskflow/kit/loader';
import type { Connection } from '@taskflow/kit/page';
import type { TeamMemberRow } from './data/team-members.ts';
import type { Organizations } from './domain/organizations.ts';
import type { Plans } from './domain/plans.ts';
import type { Projects } from './domain/projects.ts';
import type { EntriesArgs, TeamMembers } from './domain/team-members.ts';
import type { Teams } from './domain/teams.ts';
import type { Usage } from './domain/usage.ts';

export type Loaders = ReturnType<typeof createLoaders>;

export interface UseCases {
  organizations: Organizations;
  teams: Teams;
  teamMembers: TeamMembers;
  projects: Projects;
  plans: Plans;
  usage: Usage;
}

/** New for each request: nothing crosses a viewer or grows stale. An anonymous caller's find nothing. */
export function createLoaders(
  useCases: UseCases,
  viewer: Viewer | null,
  /** For what is marked `@shared`: the viewer, or their group. */
  reader: RoleReader | null,
) {
  const { organizations, teams, teamMembers, projects } = useCases;
  const asViewer = async <R>(read: (viewer: Viewer) => Promise<R[]>): Promise<R[]> =>
    viewer ? read(viewer) : [];

  return {
    /** The viewer's own organisation; null for any other id. */
    organization: createLoader(async (ids: readonly string[]) => {
      const isAsked = viewer !== null && ids.includes(viewer.orgId);
      const own = isAsked ? await organizations.getOwn(viewer) : null;
      return ids.map((id) => (id === own?.id ? own : null));
    }),
    team: createLoader(async (ids: readonly string[]) =>
      byKey(ids, await asViewer((v) => teams.findMany(v, ids)), (row) => row.id),
    ),
    childTeams: createLoader(async (parentIds: readonly string[]) =>
      groupByKey(
        parentIds,
        await asViewer((v) => teams.childrenOf(v, parentIds)),
        (row) => row.parentTeamId ?? '',
      ),
    ),
    memberCount: createLoader(async (teamIds: readonly string[]) => {
      const counts = await asViewer((v) => teamMembers.activeCounts(v, teamIds));
      return byKey(teamIds, counts, (row) => row.teamId).map((row) => row?.count ?? 0);
    }),
    /** Pages of entries; asked for together when their arguments are the same. */
    teamMembers: entriesLoader(teamMembers, viewer),
    /** The present stays of a person, in the order of joining. */
    staysOfUser: createLoader(async (userIds: readonly string[]) =>
      groupByKey(userIds, await asViewer((v) => teamMembers.activeOfUsers(v, userIds)), (row) => row.userId),
    ),
    project: createLoader(async (ids: readonly string[]) =>
      byKey(ids, reader ? await projects.findMany(reader, ids) : [], (row) => row.id),
    ),
    assignments: createLoader(async (projectIds: readonly string[]) =>
      groupByKey(
        projectIds,
        await asViewer((v) => projects.assignmentsOf(v, projectIds)),
        (row) => row.projectId,
      ),
    ),
    /** The teams in which the viewer has the team role MANAGER; asked for once a request. */
    managedTeamIds: once(async () => (viewer ? teams.managedBy(viewer) : new Set<string>())),
  };
}

function once<T>(load: () => Promise<T>): () => Promise<T> {
  let loaded: Promise<T> | undefined;
  return () => {
    loaded ??= load();
    return loaded;
  };
}

function entriesLoader(teamMembers: TeamMembers, viewer: Viewer | null) {
  const loaders = new Map<string, ReturnType<typeof loaderFor>>();
  const loaderFor = (args: EntriesArgs) =>
    createLoader(
      (teamIds: readonly string[]): Promise<readonly Connection<TeamMemberRow>[]> =>
        viewer
          ? teamMembers.listForTeams(viewer, teamIds, args)
          : Promise.reject(new Error('nobody is signed in')),
    );
  return (teamId: string, args: EntriesArgs): Promise<Connection<TeamMemberRow>> => {
    const key = JSON.stringify([args.first, args.after, args.includeFormer]);
    const loader = loaders.get(key) ?? loaderFor(args);
    loaders.set(key, loader);
    return loader.load(teamId);
  };
}
