/** Who may do what of schema/notification.graphql. An inbox belongs to one person; no role opens another’s. */
import {
  EVERYBODY_INSIDE,
  NAMED_INSIDE,
  names,
  type Rules,
  SAME,
  SEEN_BY_PEOPLE,
  SEEN_INSIDE,
} from './rule.ts';

export const notification: Rules = {
  operations: {
    'Query.notifications': { says: 'Each person their own.', roles: EVERYBODY_INSIDE },
    'Query.notificationCounts': { says: 'Each person their own.', roles: EVERYBODY_INSIDE },
    'Mutation.notificationMarkRead': {
      says: 'Each person their own; an ORG_ADMIN not those of others either.',
      roles: NAMED_INSIDE,
      example: ({ own }) => ({ input: { ids: [own('Notification')] } }),
    },
    'Subscription.notificationEvents': {
      says: 'Each person their own inbox.',
      roles: EVERYBODY_INSIDE,
      tellsOf: 'Notification',
    },
  },
  ids: {
    'NotificationMarkReadInput.ids': names('Notification'),
  },
  types: {
    AuditLog: {
      says: 'Everybody of the organisation; what is in it is for an ORG_ADMIN.',
      roles: SEEN_BY_PEOPLE,
      fields: {
        'notification notificationExport': { inside: 'null', ORG_ADMIN: 'yes' },
      },
    },
    User: {
      says: 'Everybody of the organisation.',
      roles: SEEN_INSIDE,
      fields: { notificationCounts: { inside: 'self' } },
    },
    Notification: {
      says: 'The person in whose inbox it is.',
      roles: SEEN_INSIDE,
      fields: {
        'id kind title readAt seenAt createdAt actor': SAME,
        // Null for a task that the person does not see any more.
        task: SAME,
      },
    },
    NotificationCounts: {
      says: 'The person whose inbox it is.',
      roles: SEEN_INSIDE,
      fields: { 'unread unseen': SAME },
    },
    NotificationConnection: {
      says: 'The person whose inbox it is.',
      roles: SEEN_INSIDE,
      fields: { 'edges nodes pageInfo totalCount': SAME },
    },
    NotificationEdge: {
      says: 'The person whose inbox it is.',
      roles: SEEN_INSIDE,
      fields: { 'cursor node': SAME },
    },
    NotificationChange: {
      says: 'The person whose inbox it is.',
      roles: SEEN_INSIDE,
      fields: { 'cursor notification counts': SAME },
    },
    NotificationsPayload: {
      says: 'Whoever asks.',
      roles: SEEN_INSIDE,
      fields: { 'success userErrors notifications counts syncId clientMutationId': SAME },
    },
  },
  unions: {
    NotificationEvent: 'NotificationChange StreamHeartbeat ResyncRequired',
  },
  entities: {
    AuditLog: { inside: 'yes' },
    Notification: { inside: 'yes' },
    User: { inside: 'yes' },
  },
};
