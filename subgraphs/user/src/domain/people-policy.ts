import type { Viewer } from '@taskflow/kit/identity';
import type { MemberRow } from '../data/members.ts';

/**
 * Everybody of an organisation may look through its people, but a GUEST finds only themselves. By reference a GUEST
 * sees people too: who created the task that was shared with them is part of what was shared.
 */
export const canListPeople = ({ role }: Pick<Viewer, 'role'>): boolean => role !== 'GUEST';

/** Whether `viewer` may know of the person at all, when they name them by id. */
export const canFind = (viewer: Pick<MemberRow, 'id' | 'role'> | null, id: string): boolean =>
  viewer !== null && (canListPeople(viewer) || viewer.id === id);

/** What an organisation uses of its plan is the business of those who administrate it. */
export const canSeeUsage = ({ role }: Pick<Viewer, 'role'>): boolean => role === 'ORG_ADMIN';

/** Whether somebody proved their address is between them and those who administrate the organisation. */
export const canSeeVerification = ({ userId, role }: Viewer, id: string): boolean =>
  role === 'ORG_ADMIN' || userId === id;

/** An invite gives away rights: only who has them all may. */
export const canInvite = ({ role }: Pick<Viewer, 'role'>): boolean => role === 'ORG_ADMIN';

/** The same by what is stored now, since a token's role is up to ten minutes old. */
export const isActiveAdmin = (member: Pick<MemberRow, 'role' | 'status'> | null): boolean =>
  member?.status === 'ACTIVE' && canInvite(member);

/** What decides on changes of members, by what is stored now. */
export interface Authority {
  /** Who asks; null for somebody who is not there. */
  readonly viewer: MemberRow | null;
  /** Two of the ORG_ADMINs who can sign in, or the only one. */
  readonly someActiveAdmins: readonly string[];
}

/** Without this person nobody could administrate the organisation. */
export const isLastAdmin = ({ id }: MemberRow, { someActiveAdmins }: Authority): boolean =>
  someActiveAdmins.length === 1 && someActiveAdmins[0] === id;

const belongs = (member: MemberRow) => member.status !== 'REMOVED';

export const canChangeRole = (authority: Authority, member: MemberRow): boolean =>
  isActiveAdmin(authority.viewer) && belongs(member) && !isLastAdmin(member, authority);

export const canRemove = canChangeRole;

/** Nobody suspends themselves: they could not take it back. */
export const canSuspend = ({ viewer }: Authority, member: MemberRow): boolean =>
  isActiveAdmin(viewer) && belongs(member) && viewer?.id !== member.id;
