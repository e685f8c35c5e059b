/** What every subgraph promises alike: schema/conventions.graphql. */
import { ANYBODY, type Rules, SAME, SEEN_INSIDE } from './rule.ts';

export const conventions: Rules = {
  types: {
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
