import { callOf } from '@taskflow/kit/call';
import type { AuditLogResolvers } from '../generated/graphql.ts';

export const AuditLog: AuditLogResolvers = {
  __resolveReference: ({ id }, { viewer }) => (id === viewer?.orgId ? { id } : null),
  task: (_, args, context, info) => context.auditLog.list(callOf(context, info), args),
  taskExport: (_, args, context, info) => context.auditLog.export(callOf(context, info), args),
};
