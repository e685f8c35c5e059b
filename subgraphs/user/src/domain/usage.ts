import type { Viewer } from '@taskflow/kit/identity';
import type { Quota } from '@taskflow/kit/quota';
import type { UserStore } from '../data/store.ts';
import { canSeeUsage } from './people-policy.ts';

export type Usage = ReturnType<typeof createUsage>;

/** How many members the viewer's organisation has and may have. */
export const createUsage = (store: UserStore) => ({
  members: async (viewer: Viewer): Promise<Quota | null> =>
    canSeeUsage(viewer) ? store.usage.members(viewer) : null,
});
