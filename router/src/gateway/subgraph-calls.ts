// Calls from the router to its subgraphs over HTTP.
//
// Every call passes the call stages (sign-context, call-deadline) and then one pooled keep-alive
// connection. Nothing the client sent as a header travels on: a call carries the headers written here and
// by the call stages, nothing else.

import { GraphQLError } from 'graphql';
import { Agent, type Dispatcher } from 'undici';
import type { Exchange } from '../exchange.ts';

/** The GraphQL request a plan fetch sends. */
export interface SubgraphRequest {
  query: string;
  operationName?: string | undefined;
  variables?: Record<string, unknown> | undefined;
}

export interface SubgraphAnswer {
  data?: Record<string, unknown> | null;
  errors?: readonly { message: string; path?: readonly (string | number)[]; extensions?: Record<string, unknown> }[];
  extensions?: Record<string, unknown>;
}

/** One call on its way to a subgraph; call stages may add headers and set the signal. */
export interface SubgraphCall {
  readonly subgraph: string;
  readonly url: URL;
  readonly exchange: Exchange;
  readonly request: SubgraphRequest;
  /** The exact bytes that are sent, and signed. */
  readonly body: Buffer;
  readonly headers: Record<string, string>;
  signal: AbortSignal | null;
  /** Headers of the answer, lower-cased, once there is one. */
  answerHeaders: Record<string, string | string[] | undefined>;
}

export type CallSubgraph = (
  exchange: Exchange,
  subgraph: { name: string; url: string },
  request: SubgraphRequest,
) => Promise<SubgraphAnswer>;
