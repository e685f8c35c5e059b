import type { RoleReader, Viewer } from '@taskflow/kit/identity';
import { byKey, createLoader } from '@taskflow/kit/loader';
import type { Connection } from '@taskflow/kit/page';
import type { TaskRow } from './data/tasks.ts';
import type { ProjectTasksArgs } from './domain/task-lists.ts';
import type { Sight } from './domain/task-policy.ts';
import type { Tasks } from './domain/tasks.ts';

export type Loaders = ReturnType<typeof createLoaders>;

/** New for each request and each subscription event: nothing crosses a viewer or grows stale. An anonymous caller's find nothing. */
export function createLoaders(
  { tasks }: { tasks: Tasks },
  viewer: Viewer | null,
  /** For what is marked `@shared`: the viewer, or their group. */
  reader: RoleReader | null,
) {
  const taskCount = createLoader(async (projectIds: readonly string[]) =>
    viewer ? tasks.countForProjects(viewer, projectIds) : projectIds.map(() => 0),
  );
  return {
    /** A task that the reader may see; null for any other id. */
    task: createLoader(async (ids: readonly string[]) => {
      const rows = reader ? await tasks.findMany(reader, ids) : [];
      const keys = ids.map((id) => id.toLowerCase());
      return byKey(keys, rows, (row) => row.id);
    }),
    /** How many open tasks a person is assigned to, among those that the reader may see. */
    openTaskCount: createLoader(async (userIds: readonly string[]) =>
      reader ? tasks.openCounts(reader, userIds) : userIds.map(() => null),
    ),
    /** Pages of a project's tasks; asked for together when their arguments are the same. */
    tasksOfProject: projectTasksLoader(tasks, viewer, taskCount.load.bind(taskCount)),
    /** What the viewer sees beyond their own tasks; asked for once a request. */
    sight: once<Sight>(() =>
      viewer ? tasks.sightOf(viewer) : Promise.reject(new Error('nobody is signed in')),
    ),
  };
}

function once<T>(load: () => Promise<T>): () => Promise<T> {
  let loaded: Promise<T> | undefined;
  return () => {
    loaded ??= load();
    return loaded;
  };
}

function projectTasksLoader(
  tasks: Tasks,
  viewer: Viewer | null,
  countOf: (projectId: string) => Promise<number>,
) {
  const loaders = new Map<string, ReturnType<typeof loaderFor>>();
  const loaderFor = (args: ProjectTasksArgs) =>
    createLoader(
      (projectIds: readonly string[]): Promise<readonly (Connection<TaskRow> | Error)[]> =>
        viewer
          ? tasks.listForProjects(viewer, projectIds, args, countOf)
          : Promise.reject(new Error('nobody is signed in')),
    );
  return (projectId: string, args: ProjectTasksArgs): Promise<Connection<TaskRow>> => {
    const key = JSON.stringify([args.first, args.after]);
    const loader = loaders.get(key) ?? loaderFor(args);
    loaders.set(key, loader);
    return loader.load(projectId);
  };
}
