import type { FactHandlers } from '@taskflow/kit/apply';
import type { Sealer } from '@taskflow/kit/seal';
import type { AnyFact, ConsumedBy } from '@taskflow/schema/events';
import type { NotificationTx } from '../data/notifications.ts';
import type { MailHistory } from '../data/personal-data.ts';
import type { Inbox } from '../domain/inbox.ts';
import { onDataExportRequested } from './on-data-export-requested.ts';
import { onMailRequested } from './on-mail-requested.ts';
import { onMemberErased } from './on-member-erased.ts';
import { onTaskAssigned } from './on-task-assigned.ts';
import { onTaskStatusChanged } from './on-task-status-changed.ts';

/** The facts that this subgraph consumes, each with its handler. */
export const createHandlers = ({
  inbox,
  mailHistory,
  sealer,
}: {
  inbox: Inbox;
  mailHistory: MailHistory;
  sealer: Sealer;
}): FactHandlers<NotificationTx, AnyFact, ConsumedBy<'notification'>> => ({
  'mail.requested': onMailRequested,
  'data-export.requested': onDataExportRequested(mailHistory),
  'member.erased': onMemberErased(sealer),
  'task.assigned': (tx, fact) => onTaskAssigned(inbox, tx, fact),
  'task.status-changed': (tx, fact) => onTaskStatusChanged(inbox, tx, fact),
});
