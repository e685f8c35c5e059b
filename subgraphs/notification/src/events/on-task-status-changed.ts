import type { FactOf } from '@taskflow/schema/events';
import type { NotificationTx } from '../data/notifications.ts';
import type { Inbox } from '../domain/inbox.ts';
import { statusNotices } from '../domain/notices.ts';

export async function onTaskStatusChanged(
  inbox: Inbox,
  tx: NotificationTx,
  fact: FactOf<'task.status-changed'>,
): Promise<void> {
  await inbox.deliver(tx, statusNotices(fact.after, fact.actor.userId), {
    ...fact,
    taskId: fact.aggregate.id,
  });
}
