import type { AuditLog } from '@taskflow/kit/audit-log';
import type { BuildContext, RequestContext } from '@taskflow/kit/service';
import type { Inbox } from './domain/inbox.ts';
import type { InboxEvents } from './domain/inbox-events.ts';
import { createLoaders, type Loaders } from './loaders.ts';

/** What a resolver sees: who asks, the use cases, and loaders that live for one request. */
export interface Context extends RequestContext {
  loaders: Loaders;
  auditLog: AuditLog;
  inbox: Inbox;
  events: InboxEvents;
}

export interface ContextDeps {
  auditLog: AuditLog;
  inbox: Inbox;
  events: InboxEvents;
}

export const createContextFactory =
  (deps: ContextDeps): BuildContext =>
  ({ viewer }) => ({ ...deps, loaders: createLoaders(deps, viewer) });
