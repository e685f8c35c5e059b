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

/** A text that is sent again and again with other variables. */
export interface RequestTemplate {
  readonly query: string;
  readonly operationName: string | undefined;
  readonly isRead: boolean;
}

/** Makes requests from the inside of the variables' braces, as JSON text. */
export function requestMaker(template: RequestTemplate): (variablesText: string) => SubgraphRequest {
  const { query, operationName, isRead } = template;
  const named = operationName === undefined ? '' : `"operationName":${JSON.stringify(operationName)},`;
  const prefix = `{"query":${JSON.stringify(query)},${named}"variables":{`;
  return (variablesText) => {
    const body = `${prefix}${variablesText}}}`;
    return new TextRequest(query, operationName, body, isRead);
  };
}

class TextRequest implements SubgraphRequest {
  readonly query: string;
  readonly operationName?: string;
  readonly body: string;
  readonly isRead: boolean;
  #variables: Record<string, unknown> | null = null;

  constructor(query: string, operationName: string | undefined, body: string, isRead: boolean) {
    this.query = query;
    if (operationName !== undefined) this.operationName = operationName;
    this.body = body;
    this.isRead = isRead;
  }

  variables(): Record<string, unknown> {
    this.#variables ??= (JSON.parse(this.body) as { variables: Record<string, unknown> }).variables;
    return this.#variables;
  }
}
