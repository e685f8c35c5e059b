/**
 * Whose address it is. An address is proved by a token that was sent to it and nowhere else; that of an invite is not one, for
 * whoever invites sees it too.
 *
 *   register, inviteAccept, emailVerificationSend ── mail ── emailVerify ─▶ proved
 *   emailChangeRequest ── a mail to the old address, and one to the new ── emailChangeConfirm, twice ─▶ changed, and proved
 *
 * Nobody learns from any of it which addresses have accounts: an address that is taken is sent nothing, and the change simply
 * never comes to be.
 */
import type { Viewer } from '@taskflow/kit/identity';
import { syncIdOf } from '@taskflow/kit/outbox';
import { v7 as uuidv7 } from 'uuid';
import type { CredentialKey } from '../data/credential-tokens.ts';
import type { MemberRow } from '../data/members.ts';
import type { OwnFact } from '../data/outbox.ts';
import type { JobTx, UserStore } from '../data/store.ts';
import { type CredentialMails, MAIL_LIMIT } from './credential-mails.ts';
import { emailOf } from './input-rules.ts';
import { memberUpdated } from './member-facts.ts';
import type { ProofOfIdentity } from './proof-of-identity.ts';
import { badInput, badMailToken, tooManyMails, wrongPassword } from './refusals.ts';
import { parseToken } from './secret-tokens.ts';
import type { Client } from './sessions.ts';

export interface EmailDeps {
  readonly mails: CredentialMails;
  readonly proof: ProofOfIdentity;
  /** How long tokens to prove an address are good for. */
  readonly ttlMs: number;
}

export interface EmailChange {
  email: string;
  password: string;
}

/** Whose address was proved or changed. */
export interface Proved {
  readonly userId: string;
  readonly isComplete: boolean;
  readonly syncId: string | null;
}

export type EmailAddresses = ReturnType<typeof createEmailAddresses>;

export function createEmailAddresses(store: UserStore, { mails, proof, ttlMs }: EmailDeps) {
  /** The fact that asks for a proof, for the transaction that made the account or was asked to. */
  const verificationOf = (tx: JobTx, { id, email, name }: MemberRow, client: Client): Promise<OwnFact> =>
    mails.token(
      tx,
      {
        ...{ kind: 'EMAIL_VERIFICATION', template: 'EMAIL_VERIFICATION', ttlMs },
        ...{ accountId: id, to: email, name, actorId: id },
      },
      client,
    );

  return {
    verificationOf,

    /** Sends another token, and the one before stops working. Nothing is sent for an address that is proved. */
    async sendVerification(viewer: Viewer, client: Client): Promise<void> {
      await store.job(viewer.orgId, async (tx) => {
        const account = await tx.accounts.lock(viewer.userId);
        const member = await tx.members.hold(viewer.userId);
        if (!account || !member || (await tx.accounts.isEmailVerified(account.id))) return;
        const waitMs = await tx.credentialTokens.waitMs(account.id, 'EMAIL_VERIFICATION', MAIL_LIMIT);
        if (waitMs > 0) throw tooManyMails(waitMs);
        await tx.credentialTokens.revokeOpen(account.id, ['EMAIL_VERIFICATION']);
        await tx.audit(
          { ...client, actorId: account.id, sessionId: viewer.sessionId },
          { action: 'email.verification-requested', target: { type: 'member', id: account.id } },
        );
        await tx.appendFacts(await verificationOf(tx, member, client));
      });
    },

    async verify(client: Client, input: { token: string }): Promise<Proved> {
      const { key, token } = await find('EMAIL_VERIFICATION', input.token);
      await store.job(key.orgId, async (tx) => {
        const account = await tx.accounts.lock(token.accountId);
        const isPresent = account?.email === token.email;
        if (!isPresent || !(await tx.credentialTokens.use(key))) throw badMailToken();
        await tx.accounts.verifyEmail(account.id);
        await tx.audit(
          { ...client, actorId: account.id },
          { action: 'email.verified', target: { type: 'member', id: account.id } },
        );
      });
      return { userId: token.accountId, isComplete: true, syncId: null };
    },

    /** The address changes when both, the old one and the new one, have agreed. A later request replaces an open one. */
    async requestChange(viewer: Viewer, client: Client, input: EmailChange): Promise<void> {
      const newEmail = emailOf(input.email);
      const account = await proof.requireAgain(viewer.userId, input.password, client);
      if (newEmail === account.email) throw badInput('email', 'This is the present address.');
      await store.job(viewer.orgId, async (tx) => {
        const present = await tx.accounts.lock(account.id);
        const member = await tx.members.hold(account.id);
        if (present?.email !== account.email || member?.status !== 'ACTIVE') throw wrongPassword('password');
        const limit = { ...MAIL_LIMIT, max: 2 * MAIL_LIMIT.max };
        const waitMs = await tx.credentialTokens.waitMs(account.id, 'EMAIL_CHANGE', limit);
        if (waitMs > 0) throw tooManyMails(waitMs);
        await tx.credentialTokens.revokeOpen(account.id, ['EMAIL_CHANGE']);
        await tx.audit(
          { ...client, actorId: account.id, sessionId: viewer.sessionId },
          {
            action: 'email.change-requested',
            target: { type: 'member', id: account.id },
            after: { newEmail },
          },
        );
        await tx.appendFacts(...(await changeMails(tx, member, newEmail, client)));
      });
    },

    /** Whoever has the token may follow it, wherever and as whomever they are signed in. */
    async confirmChange(client: Client, input: { token: string }): Promise<Proved> {
      const { key, token } = await find('EMAIL_CHANGE', input.token);
      const { accountId, newEmail, changeId } = token;
      if (newEmail === null || changeId === null) throw badMailToken();
      return store.job(key.orgId, async (tx) => {
        // Both tokens at once: the second waits here, and then sees that the first was used.
        await tx.accounts.lock(accountId);
        if (!(await tx.credentialTokens.use(key))) throw badMailToken();
        if (!(await tx.credentialTokens.isConfirmed(changeId, accountId))) {
          await tx.audit(
            { ...client, actorId: accountId },
            { action: 'email.change-agreed', target: { type: 'member', id: accountId } },
          );
          return { userId: accountId, isComplete: false, syncId: null };
        }
        const syncId = await changeAddress(tx, { accountId, newEmail }, client);
        return { userId: accountId, isComplete: true, syncId };
      });
    },
  };

  async function find(kind: 'EMAIL_VERIFICATION' | 'EMAIL_CHANGE', text: string) {
    const parsed = parseToken(kind === 'EMAIL_CHANGE' ? 'eml' : 'ver', text);
    const key = parsed && ({ ...parsed, kind } satisfies CredentialKey);
    const token = key && (await store.credentialTokens.findOpen(key));
    if (!key || !token) throw badMailToken();
    return { key, token };
  }

  async function changeMails(
    tx: JobTx,
    { id, email, name }: MemberRow,
    newEmail: string,
    client: Client,
  ): Promise<OwnFact[]> {
    const change = { id: uuidv7(), newEmail };
    const common = { kind: 'EMAIL_CHANGE', accountId: id, name, actorId: id, change, ttlMs } as const;
    const notice = { ...common, template: 'EMAIL_CHANGE_NOTICE', to: email } as const;
    const confirm = { ...common, template: 'EMAIL_CHANGE_CONFIRM', to: newEmail } as const;
    const isTaken = await tx.accounts.isTaken(newEmail);
    const facts = [await mails.token(tx, notice, client), await mails.token(tx, confirm, client)];
    return isTaken ? facts.slice(0, 1) : facts;
  }

  /** In every organisation of the person. */
  async function changeAddress(
    tx: JobTx,
    { accountId, newEmail }: { accountId: string; newEmail: string },
    client: Client,
  ): Promise<string | null> {
    const before = await tx.accounts.lockMembers(accountId);
    if (!(await tx.accounts.changeEmail(accountId, newEmail))) throw badMailToken();
    await tx.credentialTokens.revokeOpen(accountId, ['PASSWORD_RESET', 'EMAIL_VERIFICATION', 'EMAIL_CHANGE']);
    let syncId: string | null = null;
    for (const was of before) {
      const org = tx.inOrg(was.orgId);
      const row = (await org.members.changeEmail(accountId, newEmail)) as MemberRow;
      await org.audit(
        { ...client, actorId: accountId },
        {
          ...{ action: 'email.changed', target: { type: 'member', id: accountId } },
          ...{ before: { email: was.email }, after: { email: row.email } },
        },
      );
      const fact = memberUpdated(was, row, client.requestId);
      await org.appendFacts(fact);
      if (was.orgId === tx.orgId) syncId = syncIdOf(fact);
    }
    return syncId;
  }
}
