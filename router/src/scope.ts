// Who may be given the same answer: the one place that says it, for whoever shares or keeps answers.
//
//   scope   everything about a caller that a subgraph may decide by: same scope, same request, same answer
//   epoch   a number per tenant that moves when something may have changed there: what began in one epoch is not
//           joined in a later one, so that nobody who has seen a change is given what was read before it
//
// Fails closed: a caller whose parts are equal is the same caller; whatever is added to the signed context belongs here.

import type { Viewer } from '@taskflow/kit/identity';
import type { Exchange } from './exchange.ts';

type Scoped = Pick<Exchange, 'viewer' | 'viewerGroup' | 'plan'> & Partial<Pick<Exchange, 'prepared'>>;

/** No client header reaches a subgraph with an anonymous call, so all of them are one. */
export const ANONYMOUS_SCOPE = 'anonymous';

// Verified tokens are remembered, and their viewers with them: the text is made once for each.
const scopeOfViewer = new WeakMap<Viewer, string>();

/**
 * Tenant, person, role, session (of an API key: its id) with scopes, and plan; the same text for the same caller only. What the
 * file's directives keep from a caller is part of it: without viewers it is the one thing that sets callers apart.
 */
export function scopeKeyOf({ prepared, ...scoped }: Scoped): string {
  const key = scopeOf(scoped);
  return prepared?.restriction ? `${key}${prepared.restriction}` : key;
}

function scopeOf({ viewer, viewerGroup, plan }: Omit<Scoped, 'prepared'>): string {
  if (viewerGroup) return JSON.stringify(['group', viewerGroup.orgId, viewerGroup.role ?? null, plan]);
  if (!viewer) return ANONYMOUS_SCOPE;
  let key = scopeOfViewer.get(viewer);
  if (key === undefined) {
    const { orgId, userId, role, sessionId, scopes = null } = viewer;
    key = JSON.stringify([orgId, userId, role, sessionId, scopes && [...scopes].sort()]);
    scopeOfViewer.set(viewer, key);
  }
  return plan === null ? key : `${key}${plan}`;
}

/** The tenant of a scope; callers without one share the empty name. */
export function tenantOf({ viewer, viewerGroup }: Pick<Exchange, 'viewer' | 'viewerGroup'>): string {
  return viewerGroup?.orgId ?? viewer?.orgId ?? '';
}

export interface Epochs {
  /** Part of every key under which a read in flight is shared. Never the same again once it has moved. */
  of(tenant: string): number;
  /** Something of this tenant may have changed: a mutation began or ended, a fact or an event arrived. */
  move(tenant: string): void;
}

/** Tenants whose epoch is remembered apart; more than are written to at one moment. */
const TENANTS_MAX = 10_000;

export function createEpochs(): Epochs {
  const moved = new Map<string, number>();
  let clock = 0;
  // Of every tenant that is not listed. Forgetting the list moves all of them, which only costs a chance to share.
  let rest = 0;
  return {
    of: (tenant) => moved.get(tenant) ?? rest,
    move(tenant) {
      clock++;
      if (moved.size >= TENANTS_MAX && !moved.has(tenant)) {
        moved.clear();
        rest = clock;
      }
      moved.set(tenant, clock);
      // What anonymous callers read may be anybody's.
      if (tenant !== '') moved.set('', clock);
    },
  };
}
