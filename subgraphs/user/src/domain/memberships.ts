/**
 * One person in several organisations. They see where they belong, and change to another without a password: the account
 * proved itself when the session began. The session that they change from stays.
 */
import type { Call } from '@taskflow/kit/call';
import { isUuid } from '@taskflow/kit/filter';
import type { Viewer } from '@taskflow/kit/identity';
import type { MembershipRow } from '../data/accounts.ts';
import type { UserStore } from '../data/store.ts';
import { notFound } from './refusals.ts';
import { originOf, type Sessions, type SignedIn } from './sessions.ts';

export type Memberships = ReturnType<typeof createMemberships>;

export function createMemberships(store: UserStore, { sessions }: { sessions: Sessions }) {
  return {
    /** Where the viewer belongs, in the order of joining. */
    list: (viewer: Viewer): Promise<MembershipRow[]> => store.accounts.memberships(viewer.userId),

    /**
     * A session in one of the viewer's organisations. Absent, foreign, left and suspended ones are NOT_FOUND alike. The next
     * login that names no organisation goes there too.
     */
    async switchTo(call: Call, { organizationId }: { organizationId: string }): Promise<SignedIn> {
      const { viewer } = call;
      if (!isUuid(organizationId)) throw noSuchOrganization();
      const switched = await store.job(organizationId, async (tx) => {
        // The account before the member, as invite-accept has it.
        await tx.accounts.prefer(viewer.userId, organizationId);
        const member = await tx.members.hold(viewer.userId);
        if (member?.status !== 'ACTIVE' || (await tx.organizations.isSuspended())) throw noSuchOrganization();
        const opened = await sessions.open(tx, member, call);
        const { sessionId } = opened;
        await tx.audit(originOf(call, { actorId: member.id, sessionId }), {
          ...{ action: 'login.succeeded', target: { type: 'session', id: sessionId } },
        });
        return { member, opened };
      });
      return sessions.signIn(switched.member, switched.opened, null);
    },
  };
}

/** Whether `switchTo` would succeed. */
export const canSwitchTo = ({ status, isOrganizationSuspended }: MembershipRow): boolean =>
  status === 'ACTIVE' && !isOrganizationSuspended;

const noSuchOrganization = () => notFound('The organization', 'organizationId');
