import type { AuditEntryResolvers } from '../generated/graphql.ts';

export const AuditEntry: AuditEntryResolvers = {
  actor: async ({ actorId }, _, { loaders }) => (actorId === null ? null : loaders.user.load(actorId)),
};
