import type { MemberRow } from '../data/members.ts';
import { isActiveAdmin } from './people-policy.ts';

type Standing = Pick<MemberRow, 'id' | 'role' | 'status'>;

/** Whose keys somebody sees and revokes: an ORG_ADMIN everybody's, everybody else their own. */
export const canManageKeysOf = (viewer: Standing | null, createdBy: string): boolean =>
  viewer?.status === 'ACTIVE' && (isActiveAdmin(viewer) || viewer.id === createdBy);
