import { piecesOf } from '@taskflow/kit/personal-data';
import { type FactOf, makeFact } from '@taskflow/schema/events';
import type { OrgTx } from '../data/store.ts';

/** Answers a request for somebody's data with what is held here, in the transaction that handles it. */
export async function answerDataExport(tx: OrgTx, request: FactOf<'data-export.requested'>): Promise<void> {
  const { orgId, aggregate, actor, requestId, after } = request;
  const pieces = piecesOf(await tx.personalData.gather(after.userId));
  const facts = pieces.map((content, index) =>
    makeFact({
      type: 'org-data.gathered',
      ...{ orgId, actor, requestId, aggregate: { id: aggregate.id, version: index + 1 }, before: null },
      after: { exportId: aggregate.id, userId: after.userId, index, count: pieces.length, content },
    }),
  );
  await tx.appendFacts(...facts);
}
