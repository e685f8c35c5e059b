// The gateway package's own executor: the reference for ours, and what runs an operation that ours does not cover.

import type { Supergraph as FederationSupergraph } from '@apollo/federation-internals';
import { buildOperationContext, executeQueryPlan } from '@apollo/gateway';
import type { PlanNode, QueryPlan } from '@apollo/query-planner';
import type { Log } from '@taskflow/kit/log';
import type { DocumentNode, GraphQLSchema } from 'graphql';
import type { AnswerBody } from '../exchange.ts';
import type { Subgraph } from '../gateway/loaded-supergraph.ts';
import type { SubgraphAnswer } from '../gateway/subgraph-calls.ts';
import type { ExecutionResult, OperationRun, RawError } from './compiled-operation.ts';
import { subgraphRequest } from './subgraph-request.ts';

export interface StockExecutor {
  execute(
    plan: QueryPlan,
    document: DocumentNode,
    operationName: string,
    run: OperationRun,
  ): Promise<ExecutionResult>;
}

export interface StockOptions {
  /** The API schema as graphql-js has it. */
  schema: GraphQLSchema;
  supergraph: FederationSupergraph;
  /** The supergraph's schema as graphql-js has it. */
  supergraphSchema: GraphQLSchema;
  subgraphs: ReadonlyMap<string, Subgraph>;
  log: Log;
}

/** Entity fetches of one parallel step travel each for itself here, and `@defer` is not executed. */
export function createStockExecutor({
  schema,
  supergraph,
  supergraphSchema,
  subgraphs,
  log,
}: StockOptions): StockExecutor {
  const apiSchema = supergraph.apiSchema();
  return {
    async execute(plan, document, operationName, { exchange, variables, call, event }) {
      const { node, primary } = executableNode(plan);
      const absentTypes = new Set<string>();
      const services: Parameters<typeof executeQueryPlan>[1] = Object.create(null);
      for (const subgraph of subgraphs.values()) {
        services[subgraph.name] = {
          process: async ({ request }) => {
            const { query = '', operationName, variables } = request;
            if (event && subgraph.name === primary?.serviceName && query === primary.operation)
              return event as object;
            const asked = subgraphRequest({ query, operationName, variables: variables ?? {} });
            try {
              const answer = await call(exchange, subgraph, asked);
              noteAbsent(absentTypes, variables, answer);
              return answer as object;
            } catch (error) {
              noteAbsent(absentTypes, variables, null);
              throw error;
            }
          },
        };
      }
      const operationContext = buildOperationContext({
        schema,
        operationDocument: document,
        ...(operationName ? { operationName } : {}),
      });
      // The executor reads these four of the request context, and nothing else of it.
      const requestContext = {
        request: { variables },
        context: { exchange },
        metrics: {},
        logger: quiet(log),
      } as unknown as Parameters<typeof executeQueryPlan>[2];
      const executable: QueryPlan = { kind: 'QueryPlan', ...(node ? { node } : {}) };
      const answer = await executeQueryPlan(
        executable,
        services,
        requestContext,
        operationContext,
        supergraphSchema,
        apiSchema,
      );
      return resultOf(answer as AnswerBody, absentTypes);
    },
  };
}

/** A subscription's event runs the whole plan again, with the event as the answer of its primary fetch. */
function executableNode({ node }: QueryPlan) {
  if (node?.kind !== 'Subscription') return { node, primary: null };
  const { primary, rest } = node;
  const whole: PlanNode = rest ? { kind: 'Sequence', nodes: [primary, rest] } : primary;
  return { node: whole, primary };
}

/** A null of these is no fault of the answer: it says that the thing is not there, or an error beside it says why. */
function noteAbsent(
  absentTypes: Set<string>,
  variables: Record<string, unknown> | undefined,
  answer: SubgraphAnswer | null,
): void {
  const asked = variables?.representations;
  if (!Array.isArray(asked)) return;
  const given = answer?.data?._entities;
  for (const [at, { __typename }] of asked.entries()) {
    if (!Array.isArray(given) || given[at] == null) absentTypes.add(__typename);
  }
}

/** As the compiled executor says it, for whoever runs an operation without caring which of the two does. */
function resultOf(answer: AnswerBody, absentTypes: ReadonlySet<string>): ExecutionResult {
  const { data, errors = [] } = answer;
  return {
    dataText: data === undefined ? null : JSON.stringify(data),
    errors: [...errors, ...invalidNulls(answer, absentTypes)],
    deferred: null,
  };
}

/**
 * This executor reports a null where none may be beside the errors, as an extension; a client expects an error. Unless it
 * is a field of an entity that was not there: then the reference to it is null, as its description says, and that is all.
 */
function invalidNulls(
  { data, errors, extensions }: AnswerBody,
  absentTypes: ReadonlySet<string>,
): RawError[] {
  const completion = extensions?.valueCompletion;
  if (!Array.isArray(completion)) return [];
  const isExplained = ({ message }: RawError) => absentTypes.has(NULL_FIELD.exec(message)?.[1] ?? '');
  const faults = completion.filter((error) => !isExplained(error));
  // A null that has taken all data with it needs a reason, whatever it is.
  const isSilent = faults.length === 0 && data === null && !errors?.length;
  return (isSilent ? completion : faults).map(({ message, path }: RawError) => ({
    message,
    ...(path ? { path } : {}),
    extensions: { serviceName: 'gateway' },
  }));
}

/** The executor's sentence, with the type that the field belongs to. */
const NULL_FIELD = /^Cannot return null for non-nullable field (\w+)\./;

/** Apollo's own lines are worth a developer's level: what matters of them is thrown, and logged where it is handled. */
export function quiet(log: Log) {
  const line = (message?: unknown) => log.debug(String(message));
  return { debug: line, info: line, warn: line, error: line };
}
