import { auditOriginOf } from '@taskflow/kit/audit';
import { type Call, changeOnce } from '@taskflow/kit/call';
import type { Role } from '@taskflow/kit/identity';
import { syncIdOf } from '@taskflow/kit/outbox';
import { v7 as uuidv7 } from 'uuid';
import type { AccountRow } from '../data/accounts.ts';
import type { Control } from '../data/control.ts';
import type { InviteRow } from '../data/invites.ts';
import type { MemberRow } from '../data/members.ts';
import type { OwnFact } from '../data/outbox.ts';
import type { JobTx, UserStore } from '../data/store.ts';
import type { Vouch } from './accounts.ts';
import type { EmailAddresses } from './email-addresses.ts';
import { emailOf, nameOf, newPasswordOf } from './input-rules.ts';
import { holdInviter, inviteMail } from './inviting.ts';
import type { Mails } from './mails.ts';
import { memberJoined, memberUpdated } from './member-facts.ts';
import { acceptablePasswordOf } from './password-rules.ts';
import type { Passwords } from './passwords.ts';
import { canInvite } from './people-policy.ts';
import { MEMBERS } from './plans.ts';
import type { ProofOfIdentity } from './proof-of-identity.ts';
import { alreadyMember, badInvite, conflict, forbidden, wrongCredentials } from './refusals.ts';
import { newToken, parseToken } from './secret-tokens.ts';
import type { Client, Sessions, SignedIn } from './sessions.ts';

export interface InviteCreate {
  email: string;
  role: Role;
  clientMutationId?: string | null;
}

export interface InviteAccept {
  token: string;
  name: string;
  password: string;
}

export interface InviteDeps {
  readonly passwords: Passwords;
  readonly proof: ProofOfIdentity;
  readonly sessions: Sessions;
  readonly addresses: EmailAddresses;
  readonly control: Control;
  readonly mails: Mails;
  readonly ttlMs: number;
}

/** Who accepts: an account that was there and proved itself, or one to be made. */
export type Newcomer = { readonly id: string; readonly name: string } & (
  | { readonly account: AccountRow }
  | { readonly account: null; readonly passwordHash: string }
);

export type Invites = ReturnType<typeof createInvites>;

export function createInvites(
  store: UserStore,
  { passwords, proof, sessions, addresses, control, mails, ttlMs }: InviteDeps,
) {
  return {
    /**
     * Invites an address. The token is answered this once, also when the request is repeated. Inviting an address again
     * replaces its open invite: of the tokens that were sent to it only the latest works.
     */
    async create(call: Call, input: InviteCreate): Promise<{ row: InviteRow; token: string | null }> {
      const { viewer } = call;
      if (!canInvite(viewer)) throw onlyInviters();
      const email = emailOf(input.email);
      let shownOnce: string | null = null;
      const { row } = await changeOnce(
        ...([call, input, store.transaction] as const),
        async (tx) => {
          const inviter = await holdInviter(tx, viewer);
          if (!inviter) throw onlyInviters();
          await tx.invites.lockAddress(email);
          const known = await tx.members.findByEmail(email);
          if (known && known.status !== 'REMOVED') throw alreadyMember('email');
          await tx.invites.cancelOpen(email);
          // Takes no place: an open invite may never be accepted. The exact count is made when it is.
          await tx.quota.requireRoom(MEMBERS);
          const token = newToken('inv', viewer.orgId);
          const invite = { id: uuidv7(), email, role: input.role, createdBy: viewer.userId };
          const row = await tx.invites.insert({ ...invite, tokenHash: token.hash }, ttlMs);
          shownOnce = token.text;
          await tx.audit(auditOriginOf(call), {
            ...{ action: 'invite.created', target: { type: 'invite', id: row.id } },
            after: { email, role: row.role, expiresAt: row.expiresAt },
          });
          await tx.appendFacts(
            await inviteMail(tx, call, { invite: row, inviter, token: token.text, mails }),
          );
          return { row, syncId: null };
        },
        (id) => store.invites.find(viewer, id),
      );
      return { row, token: shownOnce };
    },

    /**
     * Joins the organisation of an invite. The person gets the invited address and no other; where it has an account,
     * its password must be proved. Account, member, session, facts and the use of the token are one transaction.
     */
    async accept(client: Client, input: InviteAccept): Promise<SignedIn> {
      const name = nameOf(input.name, 'name');
      const password = newPasswordOf(input.password);
      return join(client, input.token, (email) => identify(email, { name, password }, client), null);
    },

    join,
  };

  /** Whoever `identify` takes the owner of the invited address for joins, vouched for or not, and the token is used. */
  async function join(
    client: Client,
    tokenText: string,
    identify: (email: string) => Promise<Newcomer>,
    vouch: Vouch | null,
  ): Promise<SignedIn> {
    const token = parseToken('inv', tokenText);
    const invite = token && (await store.invites.findOpen(token.orgId, token.hash));
    if (!invite) throw badInvite();
    const newcomer = await identify(invite.email);
    const joined = await store.job(token.orgId, async (tx) => {
      if (!(await tx.invites.lockOpen(invite.id))) throw badInvite();
      if (await tx.organizations.isSuspended()) throw badInvite();
      const { member, fact } = await admit(tx, invite, newcomer, client);
      if (!(await tx.invites.accept(invite.id, member.id))) throw badInvite();
      await vouch?.(tx, member);
      const opened = await sessions.open(tx, member, client);
      // The token of an invite proves no address: whoever invites sees it too.
      const isUnproved = newcomer.account === null && vouch === null;
      const mails = isUnproved ? [await addresses.verificationOf(tx, member, client)] : [];
      await tx.appendFacts(fact, ...mails);
      await tx.audit(
        { ...client, actorId: member.id, sessionId: opened.sessionId },
        {
          ...{ action: 'invite.accepted', target: { type: 'invite', id: invite.id } },
          after: { memberId: member.id, name: member.name, email: member.email, role: member.role },
        },
      );
      await tx.quota.take(MEMBERS);
      return { member, opened, syncId: syncIdOf(fact) };
    });
    // Who comes back was refused by the routers until now.
    if (joined.member.epoch > 1) await control.readmitUser(standingOf(joined.member));
    return sessions.signIn(joined.member, joined.opened, joined.syncId);
  }

  async function identify(
    email: string,
    { name, password }: { name: string; password: string },
    client: Client,
  ): Promise<Newcomer> {
    const account = await store.accounts.findByEmail(email);
    if (!account) {
      const acceptable = await acceptablePasswordOf(password, { email, name });
      return { id: uuidv7(), name, account: null, passwordHash: await passwords.hash(acceptable) };
    }
    await proof.refuseWhileLocked(email, client);
    const proved = await proof.require({ email, password, account, isEligible: true }, client);
    return { id: account.id, name, account: proved };
  }
}

/** Makes the person a member. A removed one comes back as themselves, with a new epoch. */
async function admit(
  tx: JobTx,
  { email, role }: InviteRow,
  newcomer: Newcomer,
  { requestId }: Client,
): Promise<{ member: MemberRow; fact: OwnFact }> {
  const { orgId } = tx;
  const { id, name } = newcomer;
  if (newcomer.account) {
    if (!(await tx.accounts.hold(newcomer.account))) throw wrongCredentials();
    await tx.accounts.prefer(id, orgId);
  } else if (!(await tx.accounts.insert({ id, email, passwordHash: newcomer.passwordHash }, orgId))) {
    // Registered between the look and the write. Told apart only by the owner of the token.
    throw conflict('password', 'This address has an account by now. Please use its password.');
  }
  const member = await tx.members.insert({ id, name, email, role });
  if (member) return { member, fact: memberJoined(member, requestId) };
  const before = await tx.members.lock(id);
  if (before?.status !== 'REMOVED') throw alreadyMember('token');
  const readmitted = (await tx.members.readmit({ id, name, email, role })) as MemberRow;
  return { member: readmitted, fact: memberUpdated(before, readmitted, requestId) };
}

const onlyInviters = () => forbidden('Only an ORG_ADMIN may invite people.');
const standingOf = ({ orgId, id: userId, epoch }: MemberRow) => ({ orgId, userId, epoch });
