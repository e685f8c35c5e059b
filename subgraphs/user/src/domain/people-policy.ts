import type { Viewer } from '@taskflow/kit/identity';
import type { MemberRow } from '../data/members.ts';

/**
 * Everybody of an organisation may look through its people, but a GUEST finds only themselves. By reference a GUEST
 * sees people too: who created the task that was shared with them is part of what was shared.
 */
export const canListPeople = (viewer: Viewer): boolean => viewer.role !== 'GUEST';

/** An invite gives away rights: only who has them all may. */
export const canInvite = ({ role }: Pick<Viewer, 'role'>): boolean => role === 'ORG_ADMIN';

/** The same by what is stored now, since a token's role is up to ten minutes old. */
export const isActiveAdmin = (member: MemberRow | null): boolean =>
  member?.status === 'ACTIVE' && canInvite(member);
