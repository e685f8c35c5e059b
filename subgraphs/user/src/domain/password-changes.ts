/**
 * A new password: by the present one, or by a token that was sent to the address.
 *
 *   passwordChange ── the present password, under the lock of sign-in ─┐
 *   passwordResetRequest ── mail ── passwordReset ── the token, once ──┴▶ hash · sessions end · mail · audit, at once
 *
 * Sessions end in every organisation of the person, for the account is one. A request for a reset is answered before anybody
 * looks whether the address has an account: answer and time are the same for all of them.
 */
import type { Viewer } from '@taskflow/kit/identity';
import type { OwnSession } from '../data/accounts.ts';
import type { Control } from '../data/control.ts';
import type { CredentialKey } from '../data/credential-tokens.ts';
import type { MemberRow } from '../data/members.ts';
import type { RequestLimits } from '../data/request-limits.ts';
import type { JobTx, UserStore } from '../data/store.ts';
import type { Afterwards } from './afterwards.ts';
import { type CredentialMails, MAIL_LIMIT } from './credential-mails.ts';
import { emailOf } from './input-rules.ts';
import { networkOf } from './networks.ts';
import { acceptablePasswordOf } from './password-rules.ts';
import type { Passwords } from './passwords.ts';
import type { ProofOfIdentity } from './proof-of-identity.ts';
import { badInput, badMailToken, tooManyRequests, wrongPassword } from './refusals.ts';
import { parseToken } from './secret-tokens.ts';
import type { Client, Sessions, SignedIn } from './sessions.ts';

export interface PasswordChange {
  currentPassword: string;
  newPassword: string;
}

export interface PasswordReset {
  token: string;
  newPassword: string;
}

export interface PasswordChangeDeps {
  readonly passwords: Passwords;
  readonly proof: ProofOfIdentity;
  readonly sessions: Sessions;
  readonly control: Control;
  readonly mails: CredentialMails;
  readonly afterwards: Afterwards;
  readonly resetRequests: RequestLimits;
  /** How long a token to reset a password is good for. */
  readonly resetTtlMs: number;
}

interface NewPassword {
  readonly passwordHash: string;
  /** The session that goes on; null when all end. */
  readonly keptId: string | null;
  readonly action: 'password.changed' | 'password.reset';
}

export type PasswordChanges = ReturnType<typeof createPasswordChanges>;

export function createPasswordChanges(store: UserStore, deps: PasswordChangeDeps) {
  const { passwords, proof, sessions, control, mails, afterwards, resetRequests, resetTtlMs } = deps;

  return {
    /** Every other session of the person ends; that of the request goes on with a new pair, and its old refresh token does not. */
    async change(viewer: Viewer, client: Client, input: PasswordChange): Promise<SignedIn> {
      const account = await store.accounts.find(viewer.userId);
      const [member] = await store.members.findMany(viewer, [viewer.userId]);
      if (!account || member?.status !== 'ACTIVE') throw wrongPassword('currentPassword');
      const { email } = account;
      if (input.newPassword === input.currentPassword) {
        throw badInput('newPassword', 'The new password must differ from the present one.');
      }
      await proof.refuseWhileLocked(email, client);
      await acceptablePasswordOf(input.newPassword, { email, name: member.name }, 'newPassword');
      const proved = await proof.require(
        {
          ...{ email, password: input.currentPassword, account, isEligible: true },
          refusal: () => wrongPassword('currentPassword'),
        },
        client,
      );
      const passwordHash = await passwords.hash(input.newPassword);
      const { ended, opened } = await store.job(viewer.orgId, async (tx) => {
        // Somebody was faster: what was proved is not the password any more.
        const { passwordHash: present } = (await tx.accounts.lock(account.id)) ?? {};
        if (present !== proved.passwordHash) throw wrongPassword('currentPassword');
        const row = await activeOf(tx, member);
        const opened = await sessions.renew(tx, row, viewer.sessionId, client);
        const kept = { passwordHash, keptId: opened.sessionId, action: 'password.changed' } as const;
        return { opened, ended: await setPassword(tx, row, kept, client) };
      });
      await announce(account.id, ended);
      return sessions.signIn(member, opened, null);
    },

    /** Always the same, at once. What it leads to is nobody's business but that of the address. */
    async requestReset(client: Client, input: { email: string }): Promise<void> {
      const email = emailOf(input.email);
      const waitMs = await resetRequests.take(networkOf(client.address));
      if (waitMs > 0) throw tooManyRequests(waitMs);
      afterwards.do('password reset', client.requestId, () => sendReset(email, client));
    },

    /** Signs in. All sessions of the person have ended, and no lock of sign-in stands any more. */
    async reset(client: Client, input: PasswordReset): Promise<SignedIn> {
      const parsed = parseToken('pwd', input.token);
      const key = parsed && ({ ...parsed, kind: 'PASSWORD_RESET' } satisfies CredentialKey);
      const token = key && (await store.credentialTokens.findOpen(key));
      const account = token && (await store.accounts.find(token.accountId));
      const member = account && (await store.accounts.activeMembership(account.id));
      if (!key || !account || !member) throw badMailToken();
      const owner = { email: account.email, name: member.name };
      await acceptablePasswordOf(input.newPassword, owner, 'newPassword');
      const passwordHash = await passwords.hash(input.newPassword);
      const done = await store.job(member.orgId, async (tx) => {
        await tx.accounts.lock(account.id);
        if (!(await tx.credentialTokens.use(key))) throw badMailToken();
        const row = await activeOf(tx, member);
        const all = { passwordHash, keptId: null, action: 'password.reset' } as const;
        const ended = await setPassword(tx, row, all, client);
        // Whoever has the token has the mailbox.
        await tx.accounts.verifyEmail(account.id);
        return { row, ended, opened: await sessions.open(tx, row, client) };
      });
      await Promise.all([announce(account.id, done.ended), proof.forget(account.email)]);
      return sessions.signIn(done.row, done.opened, null);
    },
  };

  async function sendReset(email: string, client: Client): Promise<void> {
    const account = await store.accounts.findByEmail(email);
    const member = await store.accounts.activeMembership(account?.id ?? null);
    if (!account || !member) return;
    await store.job(member.orgId, async (tx) => {
      const present = await tx.accounts.lock(account.id);
      if (present?.email !== email) return;
      if ((await tx.credentialTokens.waitMs(account.id, 'PASSWORD_RESET', MAIL_LIMIT)) > 0) return;
      await tx.credentialTokens.revokeOpen(account.id, ['PASSWORD_RESET']);
      const fact = await mails.token(
        tx,
        {
          ...{ kind: 'PASSWORD_RESET', template: 'PASSWORD_RESET', ttlMs: resetTtlMs },
          ...{ accountId: account.id, to: email, name: member.name, actorId: null },
        },
        client,
      );
      await tx.audit(
        { ...client, actorId: null },
        { action: 'password.reset-requested', target: { type: 'member', id: account.id } },
      );
      await tx.appendFacts(fact);
    });
  }

  /** The part that both ways have in common. The account is locked. */
  async function setPassword(
    tx: JobTx,
    person: MemberRow,
    { passwordHash, keptId, action }: NewPassword,
    client: Client,
  ): Promise<OwnSession[]> {
    const { id, orgId } = person;
    await tx.accounts.setPassword(id, passwordHash);
    await tx.credentialTokens.revokeOpen(id, ['PASSWORD_RESET', 'EMAIL_CHANGE']);
    const ended = await tx.accounts.endSessions(id, keptId);
    const orgIds = new Set([orgId, ...ended.map((session) => session.orgId)]);
    for (const each of [...orgIds].sort()) {
      const endedSessions = ended.filter((session) => session.orgId === each).length;
      await tx
        .inOrg(each)
        .audit(
          { ...client, actorId: id, sessionId: keptId },
          { action, target: { type: 'member', id }, after: { endedSessions } },
        );
    }
    await tx.appendFacts(mails.passwordChanged(orgId, person, client));
    return ended;
  }

  async function announce(userId: string, ended: readonly OwnSession[]): Promise<void> {
    const byOrg = Map.groupBy(ended, ({ orgId }) => orgId);
    await Promise.all(
      [...byOrg].map(([orgId, sessions]) =>
        control.revokeSessions(
          orgId,
          userId,
          sessions.map(({ id }) => id),
        ),
      ),
    );
  }
}

/** The member as they are now: suspended since the look before, they get no session. */
async function activeOf(tx: JobTx, { id }: MemberRow): Promise<MemberRow> {
  const row = await tx.members.hold(id);
  if (row?.status !== 'ACTIVE') throw badMailToken();
  return row;
}
