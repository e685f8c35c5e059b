/** What every subgraph promises alike: schema/conventions.graphql. */
import { ANYBODY, compares, type Rules, SAME, SEEN_INSIDE } from './rule.ts';

/** Everybody else is never given one: the parts of the log are null to them. */
const BY_ADMINS = { inside: 'absent', ORG_ADMIN: 'yes', API_KEY: 'absent' } as const;

export const conventions: Rules = {
  ids: {
    'AuditReferenceComparator.eq': compares('User'),
    'AuditReferenceComparator.in': compares('User'),
  },
  types: {
    AuditEntry: {
      says: 'An ORG_ADMIN.',
      roles: BY_ADMINS,
      fields: {
        'id occurredAt action actor sessionId target before after address userAgent': SAME,
        'requestId isErased isSealed sequence hash': SAME,
      },
    },
    AuditTarget: { says: 'An ORG_ADMIN.', roles: BY_ADMINS, fields: { 'type id': SAME } },
    AuditEntryConnection: {
      says: 'An ORG_ADMIN.',
      roles: BY_ADMINS,
      fields: { 'edges nodes pageInfo totalCount': SAME },
    },
    AuditEntryEdge: { says: 'An ORG_ADMIN.', roles: BY_ADMINS, fields: { 'cursor node': SAME } },
    AuditExportPage: {
      says: 'An ORG_ADMIN.',
      roles: BY_ADMINS,
      fields: { 'content count hasNextPage endCursor': SAME },
    },
    PageInfo: {
      says: 'Whoever reads a list.',
      roles: SEEN_INSIDE,
      fields: { 'hasNextPage hasPreviousPage startCursor endCursor': SAME },
    },
    OrganizationUsage: { says: 'Everybody, their own.', roles: SEEN_INSIDE, fields: { id: SAME } },
    UsageCount: {
      says: 'An ORG_ADMIN.',
      roles: { inside: 'absent', ORG_ADMIN: 'yes', API_KEY: 'yes' },
      fields: { 'used limit': SAME },
    },
    UserError: {
      says: 'Whoever is refused.',
      roles: ANYBODY,
      fields: { 'code message field retryAfterMs': SAME },
    },
    MutationError: {
      says: 'Whoever is refused.',
      roles: ANYBODY,
      fields: { 'code message field retryAfterMs': SAME },
    },
    ConflictError: {
      says: 'Who may change a thing and was not the first.',
      roles: SEEN_INSIDE,
      fields: { 'code message field retryAfterMs current changedFields': SAME },
    },
    StreamHeartbeat: { says: 'Whoever listens.', roles: SEEN_INSIDE, fields: { cursor: SAME } },
    ResyncRequired: { says: 'Whoever listens.', roles: SEEN_INSIDE, fields: { 'cursor reason': SAME } },
  },
  unions: {
    UserError: 'MutationError ConflictError',
    ConflictEntity: 'User Organization Team Project Task',
  },
};
