import type { AuditLog } from '@taskflow/kit/audit-log';
import { withRole } from '@taskflow/kit/call';
import type { BuildContext, RequestContext } from '@taskflow/kit/service';
import { createLoaders, type Loaders, type UseCases } from './loaders.ts';

/** What a resolver sees: who asks, the use cases, and loaders that live for one request. */
export interface Context extends RequestContext, UseCases {
  loaders: Loaders;
  auditLog: AuditLog;
}

export const createContextFactory =
  ({ auditLog, ...useCases }: UseCases & { auditLog: AuditLog }): BuildContext =>
  ({ viewer }, { reader }) => ({
    auditLog,
    ...useCases,
    loaders: createLoaders(useCases, viewer, withRole(reader)),
  });
