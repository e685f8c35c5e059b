/** What making an invite and sending it again have in common: who may, and the mail. */
import type { Call } from '@taskflow/kit/call';
import type { Viewer } from '@taskflow/kit/identity';
import type { InviteRow } from '../data/invites.ts';
import type { MemberRow } from '../data/members.ts';
import type { OwnFact } from '../data/outbox.ts';
import type { UserTx } from '../data/store.ts';
import type { Mails } from './mails.ts';
import { isActiveAdmin } from './people-policy.ts';

/** Who may invite and see invites, by their stored role, and may until the transaction ends; null for everybody else. */
export async function holdInviter(tx: UserTx, viewer: Viewer): Promise<MemberRow | null> {
  const member = await tx.members.hold(viewer.userId);
  return isActiveAdmin(member) ? member : null;
}

export interface InviteMail {
  readonly invite: InviteRow;
  readonly inviter: MemberRow;
  /** In the clear; the fact has it sealed. */
  readonly token: string;
  readonly mails: Mails;
}

/** The fact by which the invited person is sent the token. */
export async function inviteMail(
  tx: UserTx,
  { viewer, requestId }: Call,
  { invite, inviter, token, mails }: InviteMail,
): Promise<OwnFact> {
  const organizationName = await tx.organizations.name();
  return mails.requested({
    ...{ orgId: viewer.orgId, to: invite.email, template: 'INVITE', token },
    values: {
      ...(organizationName === null ? {} : { organizationName }),
      ...{ inviterName: inviter.name, role: invite.role, expiresAt: invite.expiresAt.toISOString() },
    },
    ...{ actorId: viewer.userId, requestId },
  });
}
