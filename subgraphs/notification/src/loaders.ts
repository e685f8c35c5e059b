import type { Viewer } from '@taskflow/kit/identity';
import { byKey, createLoader } from '@taskflow/kit/loader';
import type { Inbox } from './domain/inbox.ts';

export type Loaders = ReturnType<typeof createLoaders>;

/** New for each request and each subscription event: nothing crosses a viewer or grows stale. */
export function createLoaders({ inbox }: { inbox: Inbox }, viewer: Viewer | null) {
  return {
    /** A notification of the viewer's inbox; null when it is not there. */
    notification: createLoader(async (ids: readonly string[]) =>
      byKey(ids, viewer ? await inbox.findMany(viewer, ids) : [], (row) => row.id),
    ),
    /** The viewer's counts; null for anybody else. */
    counts: createLoader(async (userIds: readonly string[]) => {
      const isAsked = viewer !== null && userIds.includes(viewer.userId);
      const counts = isAsked ? await inbox.counts(viewer) : null;
      return userIds.map((userId) => (userId === viewer?.userId ? counts : null));
    }),
  };
}
