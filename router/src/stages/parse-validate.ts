// needs       params, document (parsed once, by the limits in front)
// adds        prepared: the operation that is meant, valid for the supergraph of this moment, its variables coercible; keeps its text under the hash that came with it
// may answer  GRAPHQL_VALIDATION_FAILED · OPERATION_RESOLUTION_FAILURE · BAD_USER_INPUT 400 · BAD_REQUEST 405 (mutation by GET)

import { type DocumentNode, GraphQLError, getOperationAST, type OperationDefinitionNode } from 'graphql';
import { getVariableValues } from 'graphql/execution/values.js';
import { type Exchange, type OperationParams, paramsOf, Refusal } from '../exchange.ts';
import type { Documents, KnownDocument } from '../gateway/documents.ts';
import { withoutSchema } from '../gateway/hidden-schema.ts';
import type { LoadedSupergraph } from '../gateway/loaded-supergraph.ts';
import type { PersistedDocuments } from '../gateway/persisted-documents.ts';
import type { Supergraph } from '../gateway/supergraph.ts';
import { createValidation, ERRORS_MAX } from '../gateway/validation.ts';
import type { RequestStage } from '../pipeline.ts';

export interface ParseValidateDeps {
  supergraph: Pick<Supergraph, 'current'>;
  documents: Documents;
  persisted: PersistedDocuments;
  /** False hides the schema: introspection is refused and messages suggest no names. */
  introspection: boolean;
}

/** Several errors of one request, as one throw; each is a GraphQLError with its code. */
export class InvalidOperation extends Error {
  override readonly name = 'InvalidOperation';
  readonly errors: readonly GraphQLError[];
  constructor(errors: readonly GraphQLError[]) {
    super('The operation is not valid.');
    this.errors = errors;
  }
}

export function createParseValidate({
  supergraph,
  documents,
  persisted,
  introspection,
}: ParseValidateDeps): RequestStage {
  const problemsOf = createValidation(introspection);

  function checkValid(
    known: KnownDocument | undefined,
    document: DocumentNode,
    loaded: LoadedSupergraph,
  ): void {
    if (known?.validFor === loaded.id) return;
    const errors = problemsOf(loaded.schema, document);
    if (errors.length > 0) throw invalid(errors, 'GRAPHQL_VALIDATION_FAILED', introspection);
    if (known) known.validFor = loaded.id;
  }

  return {
    name: 'parse-validate',
    run(exchange) {
      const params = paramsOf(exchange);
      const { document } = exchange;
      if (!document) throw new Error('The exchange has not passed operation-limits.');
      const loaded = supergraph.current();
      const known = documents.find(params.query);
      checkValid(known, document, loaded);
      if (exchange.registersAs) persisted.keep(exchange.registersAs, params.query);
      const operation = operationOf(document, params);
      checkMethod(exchange, operation);
      if (known) {
        known.uses++;
        known.asked.add(params.operationName ?? '');
      }
      const variables = coercedVariables(loaded, operation, params, introspection);
      exchange.prepared = {
        document,
        operation,
        supergraph: loaded,
        variables,
        restriction: null,
        get compiled() {
          return loaded.compile(document, params.operationName);
        },
      };
    },
  };
}

function operationOf(document: DocumentNode, { operationName }: OperationParams): OperationDefinitionNode {
  const operation = getOperationAST(document, operationName);
  if (operation) return operation;
  throw new Refusal(
    'OPERATION_RESOLUTION_FAILURE',
    operationName
      ? `Unknown operation named "${operationName}".`
      : 'Must provide operation name if query contains multiple operations.',
  );
}

function checkMethod({ http }: Exchange, { operation }: OperationDefinitionNode): void {
  if (http?.method !== 'GET' || operation !== 'mutation') return;
  throw new Refusal('BAD_REQUEST', 'GET changes nothing: send this mutation by POST.', {
    status: 405,
    headers: { allow: 'POST' },
  });
}

const NO_VARIABLES: Readonly<Record<string, unknown>> = Object.freeze({});

function coercedVariables(
  { schema }: LoadedSupergraph,
  operation: OperationDefinitionNode,
  { variables }: OperationParams,
  introspection: boolean,
): Readonly<Record<string, unknown>> {
  const definitions = operation.variableDefinitions ?? [];
  if (definitions.length === 0) return NO_VARIABLES;
  const { errors, coerced } = getVariableValues(schema, definitions, variables, { maxErrors: ERRORS_MAX });
  if (errors) throw invalid(errors, 'BAD_USER_INPUT', introspection);
  return coerced;
}

function invalid(errors: readonly GraphQLError[], code: string, suggestNames: boolean): InvalidOperation {
  return new InvalidOperation(
    errors.map(
      ({ message, nodes }) =>
        new GraphQLError(suggestNames ? message : withoutSchema(message), {
          ...(nodes ? { nodes } : {}),
          extensions: { code },
        }),
    ),
  );
}
