// needs       prepared, viewer, caller
// adds        prepared.compiled without the fields that the file's own directives keep from this caller
// may answer  UNAUTHENTICATED 401 · FORBIDDEN 403 (when operations are rejected as a whole, and for the root of a subscription)

import type { FieldNode, OperationDefinitionNode } from 'graphql';
import { type Exchange, type PreparedOperation, preparedOf, Refusal } from '../exchange.ts';
import type { CompiledOperation } from '../execution/compiled-operation.ts';
import {
  accessOf,
  type OperationAccess,
  type RefusedField,
  restrictedOperation,
} from '../gateway/access-restriction.ts';
import type { LoadedSupergraph } from '../gateway/loaded-supergraph.ts';
import type { RequestStage } from '../pipeline.ts';
import type { GrantPolicies } from '../policies.ts';

/** filter: refused fields are null, beside the rest and an error; reject: one refused field ends the operation. */
export type AccessMode = 'filter' | 'reject';

export interface AccessDirectivesDeps {
  mode: AccessMode;
  /** Which of an operation's policies its caller is granted. */
  policies: GrantPolicies;
}

export function createAccessDirectives({ mode, policies }: AccessDirectivesDeps): RequestStage {
  const known = new WeakMap<LoadedSupergraph, WeakMap<OperationDefinitionNode, OperationAccess | 'open'>>();

  function accessTo({ document, operation, supergraph }: PreparedOperation): OperationAccess | null {
    const { accessRules, schema } = supergraph;
    if (!accessRules) return null;
    const operations =
      known.get(supergraph) ?? new WeakMap<OperationDefinitionNode, OperationAccess | 'open'>();
    known.set(supergraph, operations);
    const access =
      operations.get(operation) ?? accessOf(schema, accessRules, document, operation) ?? ('open' as const);
    operations.set(operation, access);
    return access === 'open' ? null : access;
  }

  async function refusedOf(
    access: OperationAccess,
    exchange: Exchange,
  ): Promise<ReadonlyMap<FieldNode, RefusedField>> {
    const { viewer, caller } = exchange;
    return access.refused({
      isAuthenticated: viewer !== null || caller !== null,
      scopes: caller?.scopes ?? NO_NAMES,
      policies: access.policies.length > 0 ? await policies(access.policies, exchange) : NO_NAMES,
    });
  }

  return {
    name: 'access-directives',
    async run(exchange) {
      const prepared = preparedOf(exchange);
      const access = accessTo(prepared);
      if (!access) return;
      const refused = await refusedOf(access, exchange);
      const [first] = refused.values();
      if (!first) return;
      const isWhole = mode === 'reject' || asksNothingElse(prepared.operation, refused);
      if (isWhole) throw refusalOf(first);
      exchange.prepared = restricted(prepared, access, refused);
    },
  };
}

const NO_NAMES: ReadonlySet<string> = new Set();

/** A subscription has one root field: without it nothing is left to subscribe to. */
function asksNothingElse(
  { operation, selectionSet }: OperationDefinitionNode,
  refused: ReadonlyMap<FieldNode, RefusedField>,
): boolean {
  if (operation !== 'subscription') return false;
  return selectionSet.selections.every((one) => one.kind !== 'Field' || refused.has(one));
}

function restricted(
  prepared: PreparedOperation,
  access: OperationAccess,
  refused: ReadonlyMap<FieldNode, RefusedField>,
): PreparedOperation {
  const { document, operation, supergraph, variables } = prepared;
  const { schema } = supergraph;
  const { document: allowed, typenameAs, key } = access.without(refused);
  let compiled: CompiledOperation | null = null;
  return {
    document,
    operation,
    supergraph,
    variables,
    restriction: key,
    get compiled() {
      compiled ??= restrictedOperation(
        { schema, document, operation, variables, refused, typenameAs },
        supergraph.compile(allowed, operation.name?.value),
      );
      return compiled;
    },
  };
}

function refusalOf({ coordinate, code }: RefusedField): Refusal {
  return code === 'UNAUTHENTICATED'
    ? new Refusal(code, `${coordinate} needs an authenticated caller.`, { status: 401 })
    : new Refusal(code, `${coordinate} needs rights that you do not have.`, { status: 403 });
}
