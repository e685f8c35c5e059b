import { piecesOf, textOf } from '@taskflow/kit/personal-data';
import { type FactOf, makeFact } from '@taskflow/schema/events';
import type { NotificationTx } from '../data/notifications.ts';
import type { MailHistory } from '../data/personal-data.ts';

/** Answers a request for somebody's data with what is held here, in the transaction that handles it. */
export async function answerDataExport(
  { mailsTo }: MailHistory,
  tx: NotificationTx,
  request: FactOf<'data-export.requested'>,
): Promise<void> {
  const { orgId, aggregate, actor, requestId, after } = request;
  const mails = await mailsTo(orgId, after.emailHash);
  const pieces = piecesOf(textOf({ ...(await tx.personalData.gather(after.userId)), ...mails }));
  const facts = pieces.map((content, index) =>
    makeFact({
      type: 'notification-data.gathered',
      ...{ orgId, actor, requestId, aggregate: { id: aggregate.id, version: index + 1 }, before: null },
      after: { exportId: aggregate.id, userId: after.userId, index, count: pieces.length, content },
    }),
  );
  await tx.appendFacts(...facts);
}
