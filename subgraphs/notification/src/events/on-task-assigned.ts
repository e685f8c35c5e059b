import type { FactOf } from '@taskflow/schema/events';
import type { NotificationTx } from '../data/notifications.ts';
import type { Inbox } from '../domain/inbox.ts';
import { assignmentNotices } from '../domain/notices.ts';

export async function onTaskAssigned(
  inbox: Inbox,
  tx: NotificationTx,
  fact: FactOf<'task.assigned'>,
): Promise<void> {
  await inbox.deliver(tx, assignmentNotices(fact.after, fact.actor.userId), {
    ...fact,
    taskId: fact.aggregate.id,
  });
}
