// The requests that an executor makes: text first, objects for whoever asks.

import type { SubgraphRequest } from '../gateway/subgraph-calls.ts';

/** A request from its parts, where nobody has built the text yet. */
export function subgraphRequest(parts: {
  query: string;
  operationName?: string | undefined;
  variables: Record<string, unknown>;
}): SubgraphRequest {
  const { query, operationName, variables } = parts;
  return {
    query,
    ...(operationName === undefined ? {} : { operationName }),
    body: JSON.stringify({ query, operationName, variables }),
    variables: () => variables,
    isRead: isRead(query),
  };
}

/** Plan fetches are printed by the planner: a read starts with `query` or with its selection. */
function isRead(query: string): boolean {
  return query.startsWith('query') || query.startsWith('{');
}
