import type { FactOf } from '@taskflow/schema/events';
import type { NotificationTx } from '../data/notifications.ts';

/** Queues the mail and no more: SMTP is another system, and may be away for hours. */
export async function onMailRequested(tx: NotificationTx, fact: FactOf<'mail.requested'>): Promise<void> {
  const { to: recipient, ...mail } = fact.after;
  await tx.mails.queue({ id: fact.aggregate.id, factId: fact.id, recipient, ...mail });
}
