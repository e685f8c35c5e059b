import type { FactHandlers } from '@taskflow/kit/apply';
import type { AnyFact, ConsumedBy } from '@taskflow/schema/events';
import type { NotificationTx } from '../data/notifications.ts';
import type { MailHistory } from '../data/personal-data.ts';
import type { Inbox } from '../domain/inbox.ts';
import { onDataExportRequested } from './on-data-export-requested.ts';
import { onMailRequested } from './on-mail-requested.ts';
import { onTaskAssigned } from './on-task-assigned.ts';
import { onTaskStatusChanged } from './on-task-status-changed.ts';

/** The facts that this subgraph consumes, each with its handler. */
export const createHandlers = ({
  inbox,
  mailHistory,
}: {
  inbox: Inbox;
  mailHistory: MailHistory;
}): FactHandlers<NotificationTx, AnyFact, ConsumedBy<'notification'>> => ({
  'mail.requested': onMailRequested,
  'data-export.requested': onDataExportRequested(mailHistory),
  'task.assigned': (tx, fact) => onTaskAssigned(inbox, tx, fact),
  'task.status-changed': (tx, fact) => onTaskStatusChanged(inbox, tx, fact),
});
