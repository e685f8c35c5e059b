import type { Viewer } from '@taskflow/kit/identity';
import { byKey, createLoader } from '@taskflow/kit/loader';
import type { People } from './domain/people.ts';

export type Loaders = ReturnType<typeof createLoaders>;

/** New for each request, and once more when a viewer is established: nothing crosses a viewer or grows stale. */
export function createLoaders({ people }: { people: People }, viewer: Viewer | null) {
  return {
    /** A person of the viewer's organisation; null for absent and foreign alike. */
    user: createLoader(async (ids: readonly string[]) =>
      byKey(ids, viewer ? await people.findMany(viewer, ids) : [], (row) => row.id),
    ),
  };
}
