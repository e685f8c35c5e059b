import type { AuditEntryResolvers } from '../generated/graphql.ts';

export const AuditEntry: AuditEntryResolvers = {
  actor: ({ actorId }) => (actorId === null ? null : { id: actorId }),
};
