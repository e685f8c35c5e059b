/** Single-use tokens on their way to a person: the row that knows the hash, and the fact that asks for the mail. */
import type { FactOf } from '@taskflow/schema/events';
import { v7 as uuidv7 } from 'uuid';
import type { CredentialKind } from '../data/credential-tokens.ts';
import type { JobTx } from '../data/store.ts';
import type { MailRequest, Mails } from './mails.ts';
import { newToken, type TokenKind } from './secret-tokens.ts';
import type { Client } from './sessions.ts';

export interface CredentialMail {
  readonly kind: CredentialKind;
  readonly template: MailRequest['template'];
  readonly accountId: string;
  readonly to: string;
  /** Of the recipient, as this organisation knows them; null where the recipient may be somebody else. */
  readonly name: string | null;
  /** Who asked; null for somebody who was not signed in. */
  readonly actorId: string | null;
  readonly change?: { readonly id: string; readonly newEmail: string };
  readonly ttlMs: number;
}

/** How many a person is sent within an hour: enough for one that was lost, too few to bury somebody in. */
export const MAIL_LIMIT = { max: 3, windowMs: 3_600_000 };

export const TOKEN_KINDS = {
  PASSWORD_RESET: 'pwd',
  EMAIL_VERIFICATION: 'ver',
  EMAIL_CHANGE: 'eml',
} as const satisfies Record<CredentialKind, TokenKind>;

export type CredentialMails = ReturnType<typeof createCredentialMails>;

export const createCredentialMails = (mails: Mails) => ({
  /** Keeps a new token, and answers the fact that sends it. Append it with the others of the change. */
  async token(tx: JobTx, mail: CredentialMail, client: Client): Promise<FactOf<'mail.requested'>> {
    const { kind, accountId, to, change, ttlMs } = mail;
    const token = newToken(TOKEN_KINDS[kind], tx.orgId);
    const expiresAt = await tx.credentialTokens.insert(
      {
        ...{ orgId: tx.orgId, id: uuidv7(), kind, accountId, email: to, tokenHash: token.hash },
        ...{ newEmail: change?.newEmail ?? null, changeId: change?.id ?? null },
      },
      ttlMs,
    );
    return mails.requested({
      ...{ orgId: tx.orgId, to, template: mail.template, token: token.text },
      ...{ actorId: mail.actorId, requestId: client.requestId },
      values: {
        ...(mail.name === null ? {} : { name: mail.name }),
        ...(change ? { newEmail: change.newEmail } : {}),
        ...(client.address === null ? {} : { address: client.address }),
        expiresAt: expiresAt.toISOString(),
      },
    });
  },

  passwordChanged: (
    orgId: string,
    person: { id: string; name: string; email: string },
    client: Client,
  ): FactOf<'mail.requested'> =>
    mails.requested({
      ...{ orgId, to: person.email, template: 'PASSWORD_CHANGED', actorId: person.id },
      ...{ requestId: client.requestId },
      values: { name: person.name, ...(client.address === null ? {} : { address: client.address }) },
    }),
});
