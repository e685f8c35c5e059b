import { forgetPerson } from '@taskflow/kit/forgetting';
import type { Sealer } from '@taskflow/kit/seal';
import { bindingOfErasure, type FactOf, makeFact } from '@taskflow/schema/events';
import type { NotificationTx } from '../data/notifications.ts';

/** The inbox goes, and every mail to the address. Without the key to the address nothing is done: the fact is put aside. */
export const onMemberErased =
  (sealer: Sealer) =>
  async (tx: NotificationTx, fact: FactOf<'member.erased'>): Promise<void> => {
    const { orgId, requestId, aggregate } = fact;
    const { id: userId, sealed } = fact.after;
    const address = sealed === null ? null : sealer.open(sealed, bindingOfErasure(userId));
    if (sealed !== null && address === null) throw new Error('the address does not open with MAIL_SEAL_KEY');
    await tx.deleteInbox(userId);
    if (address !== null) await tx.mails.forget(address);
    await forgetPerson(tx.sql, { orgId, userId, address, name: null });
    await tx.appendFacts(
      makeFact({
        type: 'notification-traces.erased',
        ...{
          orgId,
          requestId,
          aggregate: { id: userId, version: aggregate.version },
          actor: { userId: null },
        },
        before: null,
        after: { userId },
      }),
    );
  };
