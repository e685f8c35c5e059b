/**
 * Asking for a mail. User sends none: it appends the fact in the transaction of the change, and notification sends. The
 * token is sealed, so that neither the outbox nor a stream nor a dead letter holds one that works.
 */
import type { Sealer } from '@taskflow/kit/seal';
import { bindingOfMail, type FactOf, type MailImage, makeFact } from '@taskflow/schema/events';
import { v7 as uuidv7 } from 'uuid';

export interface MailRequest {
  readonly orgId: string;
  readonly to: string;
  readonly template: MailImage['template'];
  /** See `mail` in schema/events/images.ts for those that the templates know. */
  readonly values?: Readonly<Record<string, string>>;
  /** The single-use token of its link. */
  readonly token?: string;
  readonly locale?: string | null;
  /** Who asked for it; null for somebody who was not signed in. */
  readonly actorId: string | null;
  readonly requestId: string;
}

export type Mails = ReturnType<typeof createMails>;

export const createMails = (sealer: Sealer) => ({
  /** Append it with the other facts of the change. Two requests are two mails. */
  requested(mail: MailRequest): FactOf<'mail.requested'> {
    const { orgId, requestId, token } = mail;
    const image = { to: mail.to, template: mail.template, locale: mail.locale ?? null };
    return makeFact({
      type: 'mail.requested',
      ...{ orgId, requestId, aggregate: { id: uuidv7(), version: 1 }, actor: { userId: mail.actorId } },
      before: null,
      after: {
        ...image,
        values: { ...mail.values },
        sealed: token === undefined ? null : sealer.seal(token, bindingOfMail(image)),
      },
    });
  },
});
