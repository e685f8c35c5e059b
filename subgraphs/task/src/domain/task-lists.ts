import { type Filter, isUuid } from '@taskflow/kit/filter';
import type { RoleReader, Viewer } from '@taskflow/kit/identity';
import {
  type Connection,
  type Cursors,
  connectionOf,
  type PageArgs,
  pageArgs,
  scopeOf,
} from '@taskflow/kit/page';
import type { TaskStore } from '../data/store.ts';
import { keysetOf, type Narrowing, NEWEST_FIRST, type TaskOrder } from '../data/task-lists.ts';
import type { TaskRow } from '../data/tasks.ts';
import { badInput } from './refusals.ts';
import { canSeeProjects, looksAtTeams, personOf, type Sight, sightOf, visibleTo } from './task-policy.ts';
import { wordsOf } from './task-search.ts';

export interface TasksArgs extends PageArgs {
  filter?: Filter | null | undefined;
  search?: string | null | undefined;
  orderBy?: readonly OrderBy[] | null | undefined;
}

type OrderBy = Pick<TaskOrder, 'field'> & Partial<TaskOrder>;

export type ProjectTasksArgs = Pick<PageArgs, 'first' | 'after'>;

/** What a viewer reads. Every function answers only tasks that its viewer may see; malformed ids are ids of nothing. */
export function createTaskLists(store: TaskStore, { cursors }: { cursors: Cursors }) {
  return {
    /** What the viewer sees beyond their own tasks, now; for asking task-policy about rows. */
    sightOf: async (viewer: Sight['viewer']): Promise<Sight> =>
      sightOf(
        viewer,
        looksAtTeams(viewer.role) ? await store.projects.ofPerson(viewer, personOf(viewer)) : [],
      ),

    /** In no order. `includeDeleted`: also those that the viewer could see while they were there. */
    findMany: async (
      viewer: RoleReader,
      ids: readonly string[],
      options: { includeDeleted?: boolean } = {},
    ): Promise<TaskRow[]> => {
      const wellFormed = wellFormedOf(ids);
      if (wellFormed.length === 0) return [];
      return store.tasks.findMany(viewer, wellFormed, visibleTo(viewer), options);
    },

    async list(viewer: Viewer, args: TasksArgs): Promise<Connection<TaskRow>> {
      const page = pageArgs(args);
      const order = orderOf(args.orderBy);
      const words = wordsOf(args.search);
      const filter = args.filter ?? null;
      const binding = { orgId: viewer.orgId, scope: scopeOf('tasks', filter, words, order) };
      const position = page.cursor === null ? null : cursors.decode(page.cursor, binding);
      const now = new Date(position?.pinnedAt ?? Date.now());
      const narrowing: Narrowing = {
        ...{ condition: visibleTo(viewer), filter, words, now, viewerId: viewer.userId },
      };
      const keyset = keysetOf(order);
      return connectionOf({
        rows: await store.taskLists.list(viewer, narrowing, { order, page, position }),
        page,
        cursorOf: (row) =>
          cursors.encode({ ...binding, values: keyset.valuesOf(row), pinnedAt: now.getTime() }),
        totalCount: () => store.taskLists.count(viewer, narrowing),
      });
    },

    /**
     * One page of each project, all at once. A cursor belongs to one project: the others get its BAD_USER_INPUT.
     * `countOf` is asked for a project whose totalCount is selected.
     */
    async listForProjects(
      viewer: Viewer,
      projectIds: readonly string[],
      args: ProjectTasksArgs,
      countOf: (projectId: string) => Promise<number>,
    ): Promise<(Connection<TaskRow> | Error)[]> {
      const page = pageArgs(args);
      const starts = projectIds.map((projectId) => {
        const binding = { orgId: viewer.orgId, scope: scopeOf('project tasks', projectId.toLowerCase()) };
        try {
          return { binding, position: page.cursor === null ? null : cursors.decode(page.cursor, binding) };
        } catch (error) {
          return error as Error;
        }
      });
      const position = starts.flatMap((start) => (start instanceof Error ? [] : start.position))[0] ?? null;
      const asked = canSeeProjects(viewer)
        ? wellFormedOf(projectIds.filter((_, index) => !(starts[index] instanceof Error)))
        : [];
      const query = { order: NEWEST_FIRST, page, position };
      const rows =
        asked.length === 0
          ? []
          : await store.taskLists.listForProjects(viewer, asked, visibleTo(viewer), query);
      const rowsOf = Map.groupBy(rows, (row) => row.projectId);
      const keyset = keysetOf(NEWEST_FIRST);
      return starts.map((start, index) => {
        if (start instanceof Error) return start;
        const projectId = projectIds[index] ?? '';
        return connectionOf({
          rows: rowsOf.get(projectId.toLowerCase()) ?? [],
          page,
          cursorOf: (row) => cursors.encode({ ...start.binding, values: keyset.valuesOf(row) }),
          totalCount: () => countOf(projectId),
        });
      });
    },

    /** How many tasks each project has, 10,000 at most, in the order of the ids. */
    async countForProjects(viewer: Viewer, projectIds: readonly string[]): Promise<number[]> {
      const wellFormed = canSeeProjects(viewer) ? wellFormedOf(projectIds) : [];
      if (wellFormed.length === 0) return projectIds.map(() => 0);
      const counts = await store.taskLists.countForProjects(viewer, wellFormed, visibleTo(viewer));
      const countOf = new Map(counts.map(({ projectId, count }) => [projectId, count]));
      return projectIds.map((id) => countOf.get(id.toLowerCase()) ?? 0);
    },

    /** How many open tasks each person is assigned to, in the order of the ids. */
    async openCounts(viewer: RoleReader, userIds: readonly string[]): Promise<number[]> {
      const wellFormed = wellFormedOf(userIds);
      if (wellFormed.length === 0) return userIds.map(() => 0);
      const counts = await store.tasks.openCounts(viewer, wellFormed, visibleTo(viewer));
      const countOf = new Map(counts.map(({ userId, count }) => [userId, count]));
      return userIds.map((id) => countOf.get(id.toLowerCase()) ?? 0);
    },
  };
}

/** As the database writes them, and once each. */
const wellFormedOf = (ids: readonly string[]): string[] => [
  ...new Set(ids.filter(isUuid).map((id) => id.toLowerCase())),
];

function orderOf(orderBy: readonly OrderBy[] | null | undefined): TaskOrder {
  const [order = NEWEST_FIRST, ...more] = orderBy ?? [];
  if (more.length > 0) throw badInput('orderBy', 'A list has one order; ties are broken by identifier.');
  return { direction: 'ASC', ...order };
}
