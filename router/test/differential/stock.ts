// The gateway package's own executor, called as the package calls it: the oracle, hence nothing of ours is in between.

import { buildOperationContext, executeQueryPlan } from '@apollo/gateway';
import type { QueryPlan } from '@apollo/query-planner';
import type { DocumentNode, GraphQLFormattedError } from 'graphql';
import type { TestSupergraph } from './supergraph.ts';

export interface StockRequest {
  query: string;
  operationName: string | undefined;
  variables: Record<string, unknown>;
}

export interface StockAnswer {
  data?: unknown;
  errors?: readonly GraphQLFormattedError[];
  extensions?: { valueCompletion?: readonly GraphQLFormattedError[] };
}

export async function executeByStock(
  { federation, api, full, subgraphs }: TestSupergraph,
  plan: QueryPlan,
  operationDocument: DocumentNode,
  variables: Record<string, unknown>,
  ask: (subgraph: string, request: StockRequest) => Promise<unknown>,
): Promise<StockAnswer> {
  const services: Parameters<typeof executeQueryPlan>[1] = Object.create(null);
  for (const { name } of subgraphs) {
    services[name] = {
      process: async ({ request: { query = '', operationName, variables = {} } }) =>
        (await ask(name, { query, operationName, variables })) as object,
    };
  }
  const nothing = () => undefined;
  const requestContext = {
    request: { variables },
    context: {},
    metrics: {},
    logger: { debug: nothing, info: nothing, warn: nothing, error: nothing },
  } as unknown as Parameters<typeof executeQueryPlan>[2];
  const answer = await executeQueryPlan(
    plan,
    services,
    requestContext,
    buildOperationContext({ schema: api, operationDocument }),
    full,
    federation.apiSchema(),
  );
  return answer as StockAnswer;
}
