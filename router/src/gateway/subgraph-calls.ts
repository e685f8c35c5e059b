// Calls from the router to its subgraphs over HTTP.
//
// A call passes the call stages (sign-context, call-deadline), then one pooled keep-alive connection. Nothing a
// client sent as a header travels on: a call carries the headers written here and by the call stages, no other.
// Failures leave as coded errors with a safe sentence; what really happened is logged here, once.

import type { Log } from '@taskflow/kit/log';
import { GraphQLError } from 'graphql';
import { type Dispatcher, errors as undiciErrors } from 'undici';
import type { Exchange } from '../exchange.ts';
import type { CallStage } from '../pipeline.ts';

/** The GraphQL request a plan fetch sends. */
export interface SubgraphRequest {
  readonly query: string;
  readonly operationName?: string;
  /** The exact JSON text to send, and to sign. */
  readonly body: string;
  /** The variables as an object, built when asked: in process, in tests. */
  variables(): Record<string, unknown>;
  readonly isRead: boolean;
}

export interface SubgraphAnswer {
  data?: Record<string, unknown> | null | undefined;
  errors?: readonly { message: string; extensions?: Record<string, unknown> }[] | undefined;
  extensions?: Record<string, unknown> | undefined;
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

export interface SubgraphCallOptions {
  stages: readonly CallStage[];
  /** Pooled keep-alive connections, owned (and closed) by the caller. */
  dispatcher: Dispatcher;
  log: Log;
}

/** Rejects with a GraphQLError coded SUBGRAPH_UNAVAILABLE or TIMEOUT; GraphQL errors of the subgraph are data. */
export function createSubgraphCalls({ stages, dispatcher, log }: SubgraphCallOptions): CallSubgraph {
  const urls = new Map<string, URL>();
  const urlOf = (address: string) => {
    const known = urls.get(address) ?? new URL(address);
    urls.set(address, known);
    return known;
  };
  const send = (call: SubgraphCall) => post(dispatcher, call);
  const run = stages.reduceRight<(call: SubgraphCall) => Promise<SubgraphAnswer>>(
    (next, stage) => (call) => stage.run(call, next),
    send,
  );

  return async (exchange, subgraph, request) => {
    try {
      return await run({
        subgraph: subgraph.name,
        url: urlOf(subgraph.url),
        exchange,
        request,
        body: Buffer.from(request.body),
        headers: { 'content-type': 'application/json', accept: ACCEPT, 'x-request-id': exchange.requestId },
        signal: null,
        answerHeaders: {},
      });
    } catch (error) {
      log.warn(
        { err: error, subgraph: subgraph.name, requestId: exchange.requestId },
        'a call to a subgraph failed',
      );
      throw codedError(error, isRetryable(exchange, error));
    }
  };
}

const ACCEPT = 'application/graphql-response+json, application/json;q=0.9';

/** Thrown when a subgraph answered something that is no GraphQL answer. The message is for the log. */
export class BadSubgraphAnswer extends Error {
  override readonly name = 'BadSubgraphAnswer';
}

async function post(dispatcher: Dispatcher, call: SubgraphCall): Promise<SubgraphAnswer> {
  try {
    return await postOnce(dispatcher, call);
  } catch (error) {
    // A kept-alive connection may be closed by the other side at the moment it is used. Reads are sent again, once.
    if (!(error instanceof undiciErrors.SocketError) || !call.request.isRead) throw error;
    return postOnce(dispatcher, call);
  }
}

async function postOnce(dispatcher: Dispatcher, call: SubgraphCall): Promise<SubgraphAnswer> {
  const { url } = call;
  const response = await dispatcher.request({
    origin: url.origin,
    path: url.pathname + url.search,
    method: 'POST',
    headers: call.headers,
    body: call.body,
    signal: call.signal,
  });
  call.answerHeaders = response.headers;
  const text = await response.body.text();
  const answer = graphqlAnswer(text);
  if (!answer)
    throw new BadSubgraphAnswer(`HTTP ${response.statusCode}, ${text.length} characters, no GraphQL answer`);
  // 401 to a caller the router has authenticated means that the subgraph does not accept the router itself.
  if (response.statusCode === 401 && call.exchange.viewer) {
    throw new BadSubgraphAnswer('the subgraph refused the signed context');
  }
  return answer;
}

function graphqlAnswer(text: string): SubgraphAnswer | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof parsed !== 'object' || parsed === null) return null;
  const { data, errors } = parsed as { data?: unknown; errors?: unknown };
  if (errors !== undefined && !Array.isArray(errors)) return null;
  if (data === undefined && errors === undefined) return null;
  if (data !== undefined && typeof data !== 'object') return null;
  return parsed as SubgraphAnswer;
}

function isRetryable(exchange: Exchange, error: unknown): boolean {
  const neverSent = (error as { code?: unknown }).code === 'ECONNREFUSED';
  const operation = exchange.prepared?.operation.operation;
  return neverSent || operation !== 'mutation' || exchange.headers['idempotency-key'] !== undefined;
}

function codedError(error: unknown, retryable: boolean): GraphQLError {
  if (error instanceof GraphQLError) return error;
  const isTimeout =
    (error instanceof Error && (error.name === 'TimeoutError' || error.name === 'AbortError')) ||
    error instanceof undiciErrors.HeadersTimeoutError ||
    error instanceof undiciErrors.BodyTimeoutError;
  const advice = retryable ? 'Please try again.' : UNKNOWN_OUTCOME;
  return isTimeout
    ? new GraphQLError(`A part of the service took too long to answer. ${advice}`, {
        extensions: { code: 'TIMEOUT', retryable },
      })
    : new GraphQLError(`A part of the service is unavailable for a moment. ${advice}`, {
        extensions: { code: 'SUBGRAPH_UNAVAILABLE', retryable },
      });
}

/** For a mutation that was cut off in the middle and carried no key. */
const UNKNOWN_OUTCOME =
  'Whether the change was made is not known: look before you repeat it. With an Idempotency-Key header repeating is safe.';
