import type { EventStream } from '@taskflow/kit/event-stream';
import type { Counts, NotificationRow, Owner } from '../data/notifications.ts';
import type { Inbox } from './inbox.ts';

export interface InboxImage {
  userId: string;
  notificationId: string | null;
}

export interface NotificationChange {
  __typename: 'NotificationChange';
  cursor: string;
  notification: NotificationRow | null;
  counts: Counts;
}

export type InboxEvents = ReturnType<typeof createInboxEvents>;

/** The live stream of one person's inbox. Notification and counts are read when the event is delivered: the newest state. */
export function createInboxEvents(stream: EventStream, inbox: Inbox) {
  return {
    subscribe: (owner: Owner, from: { after: string | null | undefined; resumeAfter: number | null }) =>
      stream.subscribe(owner, {
        field: 'notificationEvents',
        ...from,
        toEvent: async ({ fact }, cursor): Promise<NotificationChange | null> => {
          const change = fact.after as InboxImage;
          if (change.userId !== owner.userId) return null;
          const ids = change.notificationId === null ? [] : [change.notificationId];
          const [[notification = null], counts] = await Promise.all([
            inbox.findMany(owner, ids),
            inbox.counts(owner),
          ]);
          return { __typename: 'NotificationChange', cursor, notification, counts };
        },
      }),
  };
}
