// The gateway package's own executor: the reference for ours, and what runs an operation that ours does not cover.

import type { Supergraph as FederationSupergraph } from '@apollo/federation-internals';
import { buildOperationContext, executeQueryPlan } from '@apollo/gateway';
import type { PlanNode, QueryPlan } from '@apollo/query-planner';
import type { Log } from '@taskflow/kit/log';
import type { DocumentNode, GraphQLSchema } from 'graphql';
import type { AnswerBody } from '../exchange.ts';
import type { Subgraph } from '../gateway/loaded-supergraph.ts';
import type { ExecutionResult, OperationRun } from './compiled-operation.ts';
import { subgraphRequest } from './subgraph-request.ts';

export interface StockExecutor {
  execute(
    plan: QueryPlan,
    document: DocumentNode,
    operationName: string,
    run: OperationRun,
  ): Promise<AnswerBody>;
}

export interface StockOptions {
  /** The API schema as graphql-js has it. */
  schema: GraphQLSchema;
  supergraph: FederationSupergraph;
  subgraphs: ReadonlyMap<string, Subgraph>;
  log: Log;
}

/** Entity fetches of one parallel step travel each for itself here, and `@defer` is not executed. */
export function createStockExecutor({ schema, supergraph, subgraphs, log }: StockOptions): StockExecutor {
  const apiSchema = supergraph.apiSchema();
  const supergraphSchema = supergraph.schema.toGraphQLJSSchema();
  return {
    async execute(plan, document, operationName, { exchange, variables, call, event }) {
      const { node, primary } = executableNode(plan);
      const services: Parameters<typeof executeQueryPlan>[1] = Object.create(null);
      for (const subgraph of subgraphs.values()) {
        services[subgraph.name] = {
          process: async ({ request }) => {
            const { query = '', operationName, variables } = request;
            if (event && subgraph.name === primary?.serviceName && query === primary.operation)
              return event as object;
            const asked = subgraphRequest({ query, operationName, variables: variables ?? {} });
            return (await call(exchange, subgraph, asked)) as object;
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
      return executeQueryPlan(
        executable,
        services,
        requestContext,
        operationContext,
        supergraphSchema,
        apiSchema,
      );
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

/** As the compiled executor says it, for whoever runs an operation without caring which of the two does. */
export function resultOf({ data, errors, extensions }: AnswerBody): ExecutionResult {
  return {
    dataText: data === undefined ? null : JSON.stringify(data),
    errors: errors ?? [],
    extensions,
    deferred: null,
  };
}

/** Apollo's own lines are worth a developer's level: what matters of them is thrown, and logged where it is handled. */
export function quiet(log: Log) {
  const line = (message?: unknown) => log.debug(String(message));
  return { debug: line, info: line, warn: line, error: line };
}
