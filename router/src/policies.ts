// Which policies of a supergraph's @policy directives a caller is granted: asked of a hook, since only its author knows.
//
// Fails closed: without a hook, when it throws, when it is late, and for whatever it does not name, a policy is not granted.

import type { Viewer } from '@taskflow/kit/identity';
import type { Log } from '@taskflow/kit/log';
import type { Caller } from './callers.ts';
import type { Exchange } from './exchange.ts';

/** What a hook may look at. */
export interface PolicyRequest {
  /** The policies that the operation's fields name, each once. */
  readonly policies: readonly string[];
  readonly caller: Caller | null;
  readonly viewer: Viewer | null;
  readonly headers: Exchange['headers'];
  readonly operationName: string | undefined;
}

/** Answers those of the policies that are granted. Asked once per operation, before anything is fetched. */
export type PolicyHook = (request: PolicyRequest) => Iterable<string> | Promise<Iterable<string>>;

export type GrantPolicies = (policies: readonly string[], exchange: Exchange) => Promise<ReadonlySet<string>>;

/** A decision stands in front of every fetch: what takes longer is as good as none. */
const DECISION_MS = 1_000;

export function createPolicies(hook: PolicyHook | undefined, log: Log): GrantPolicies {
  if (!hook) return async () => new Set();
  return async (policies, exchange) => {
    const { caller, viewer, headers, params, requestId } = exchange;
    const request = { policies, caller, viewer, headers, operationName: params?.operationName };
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error(`no decision within ${DECISION_MS} ms`)), DECISION_MS);
    try {
      return new Set(await Promise.race([hook(request), late]));
    } catch (error) {
      log.error({ err: error, requestId }, 'policies could not be decided: none is granted');
      return new Set();
    } finally {
      clearTimeout(timer);
    }
  };
}
