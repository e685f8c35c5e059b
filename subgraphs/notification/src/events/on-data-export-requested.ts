import type { FactOf } from '@taskflow/schema/events';
import type { NotificationTx } from '../data/notifications.ts';
import type { MailHistory } from '../data/personal-data.ts';
import { answerDataExport } from '../domain/personal-data.ts';

export const onDataExportRequested =
  (mails: MailHistory) =>
  async (tx: NotificationTx, fact: FactOf<'data-export.requested'>): Promise<void> => {
    await answerDataExport(mails, tx, fact);
  };
