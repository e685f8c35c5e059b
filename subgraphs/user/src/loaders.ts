import type { Reader, Viewer } from '@taskflow/kit/identity';
import { byKey, createLoader } from '@taskflow/kit/loader';
import type { Memberships } from './domain/memberships.ts';
import type { People } from './domain/people.ts';
import type { Authority } from './domain/people-policy.ts';

export type Loaders = ReturnType<typeof createLoaders>;

interface LoaderDeps {
  people: People;
  memberships: Memberships;
}

/** New for each request, and once more when a viewer is established: nothing crosses a viewer or grows stale. */
export function createLoaders(
  { people, memberships }: LoaderDeps,
  viewer: Viewer | null,
  /** For what is marked `@shared`: the viewer, or their group. */
  reader: Reader | null,
) {
  return {
    /** A person of the reader's organisation; null for absent and foreign alike. */
    user: createLoader(async (ids: readonly string[]) =>
      byKey(ids, reader ? await people.findMany(reader, ids) : [], (row) => row.id),
    ),
    /** Where a person belongs; null for everybody but the viewer, and for keys, which belong to one organisation. */
    memberships: createLoader(async (ids: readonly string[]) => {
      const isAsked = viewer && !viewer.scopes && ids.includes(viewer.userId);
      const own = isAsked ? await memberships.list(viewer) : null;
      return ids.map((id) => (id === viewer?.userId ? own : null));
    }),
    /** When a person proved their address; null when they have not, and for those of whom it is not the viewer's to know. */
    emailVerifiedAt: createLoader(async (ids: readonly string[]) => {
      const rows = viewer ? await people.emailVerifications(viewer, ids) : [];
      const known = new Map(rows.map(({ id, at }) => [id, at]));
      return ids.map((id) => known.get(id) ?? null);
    }),
    /** What the viewer may do with others follows from it; asked for once a request. */
    authority: once<Authority>(async () => (viewer ? people.authorityOf(viewer) : NO_AUTHORITY)),
  };
}

const NO_AUTHORITY: Authority = { viewer: null, someActiveAdmins: [] };

function once<T>(load: () => Promise<T>): () => Promise<T> {
  let loaded: Promise<T> | undefined;
  return () => {
    loaded ??= load();
    return loaded;
  };
}
