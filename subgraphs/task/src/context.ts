import type { AuditLog } from '@taskflow/kit/audit-log';
import { withRole } from '@taskflow/kit/call';
import type { BuildContext, RequestContext } from '@taskflow/kit/service';
import type { TaskEvents } from './domain/task-events.ts';
import type { Tasks } from './domain/tasks.ts';
import type { Usage } from './domain/usage.ts';
import { createLoaders, type Loaders } from './loaders.ts';

export interface ContextDeps {
  auditLog: AuditLog;
  tasks: Tasks;
  events: TaskEvents;
  usage: Usage;
}

/** What a resolver sees: who asks, the use cases, and loaders that live for one request. */
export interface Context extends RequestContext, ContextDeps {
  loaders: Loaders;
}

export const createContextFactory =
  (deps: ContextDeps): BuildContext =>
  ({ viewer }, { reader }) => ({ ...deps, loaders: createLoaders(deps, viewer, withRole(reader)) });
