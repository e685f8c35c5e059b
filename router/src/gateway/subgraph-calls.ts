// Calls from the router to its subgraphs.
//
//   request ─▶ share-in-flight ─▶ call-deadline ─▶ circuit-breaker ─▶ retry ─▶ sign-context ─▶ transport
//                   │ joined                          │ open                                    ├ http-transport
//   answer  ◀───────┘                 refused ◀───────┘                                         └ local-transport
//
// Nothing a client sent as a header travels on: a call carries the headers written here and by the call stages, no other.
// Failures leave as coded errors with a safe sentence; what really happened is logged here, once.

import type { Cancellation } from '@taskflow/kit/cancellation';
import type { Log } from '@taskflow/kit/log';
import { GraphQLError } from 'graphql';
import type { Exchange } from '../exchange.ts';
import type { CallStage } from '../pipeline.ts';
import { type Epochs, tenantOf } from '../scope.ts';
import { CallFailure } from './call-failure.ts';

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

/** One call on its way to a subgraph. */
export interface SubgraphCall {
  readonly subgraph: string;
  readonly url: URL;
  readonly exchange: Exchange;
  readonly request: SubgraphRequest;
  /** What is sent with it; call stages add to it. */
  headers: Record<string, string>;
  /** When it is given up, as performance.now() tells it; `call-deadline` says it. */
  deadlineAt: number;
  /** Nobody waits for the answer any more. */
  cancellation: Cancellation;
  /** Of the answer, lower-cased, once there is one. */
  answerHeaders: Record<string, string | string[] | undefined>;
  /** The answer as it came over the wire, for those who share it; null when it came as an object. */
  answerText: string | null;
}

/** The answer is a fresh graph of objects every time, owned by the caller: data of others is merged into it. */
export type CallSubgraph = (
  exchange: Exchange,
  subgraph: { name: string; url: string },
  request: SubgraphRequest,
) => Promise<SubgraphAnswer>;

/** Sends one call and reads its answer. Rejects with a CallFailure. */
export type Transport = (call: SubgraphCall) => Promise<SubgraphAnswer>;

export interface SubgraphCallOptions {
  stages: readonly CallStage[];
  transport: Transport;
  /** Moved by every call that may change something. */
  epochs: Epochs;
  log: Log;
}

/** Rejects with a GraphQLError coded SUBGRAPH_UNAVAILABLE or TIMEOUT; GraphQL errors of the subgraph are data. */
export function createSubgraphCalls({ stages, transport, epochs, log }: SubgraphCallOptions): CallSubgraph {
  const urls = new Map<string, URL>();
  const urlOf = (address: string) => {
    const known = urls.get(address) ?? new URL(address);
    urls.set(address, known);
    return known;
  };
  const run = stages.reduceRight<Transport>((next, stage) => (call) => stage.run(call, next), transport);

  async function answerOf(
    exchange: Exchange,
    subgraph: { name: string; url: string },
    request: SubgraphRequest,
  ) {
    try {
      return await run({
        subgraph: subgraph.name,
        url: urlOf(subgraph.url),
        exchange,
        request,
        headers: { 'content-type': 'application/json', accept: ACCEPT, 'x-request-id': exchange.requestId },
        deadlineAt: Number.POSITIVE_INFINITY,
        cancellation: exchange.cancellation,
        answerHeaders: {},
        answerText: null,
      });
    } catch (error) {
      if (!(error instanceof CallFailure && error.isExpected)) {
        const { requestId } = exchange;
        log.warn({ err: error, subgraph: subgraph.name, requestId }, 'a call to a subgraph failed');
      }
      throw codedError(error, isRepeatable(exchange, error));
    }
  }

  return async (exchange, subgraph, request) => {
    if (request.isRead) return answerOf(exchange, subgraph, request);
    epochs.move(tenantOf(exchange));
    try {
      return await answerOf(exchange, subgraph, request);
    } finally {
      // Of the viewer whom it may have established.
      epochs.move(tenantOf(exchange));
    }
  };
}

const ACCEPT = 'application/graphql-response+json, application/json;q=0.9';

/** May the client send its operation again? */
function isRepeatable(exchange: Exchange, error: unknown): boolean {
  const neverSent = error instanceof CallFailure && error.wasNeverSent;
  const operation = exchange.prepared?.operation.operation;
  return neverSent || operation !== 'mutation' || exchange.headers['idempotency-key'] !== undefined;
}

function codedError(error: unknown, retryable: boolean): GraphQLError {
  if (error instanceof GraphQLError) return error;
  const failure = error instanceof CallFailure ? error : null;
  const advice = retryable ? 'Please try again.' : UNKNOWN_OUTCOME;
  if (failure?.kind === 'late' || failure?.kind === 'cancelled') {
    return new GraphQLError(`A part of the service took too long to answer. ${advice}`, {
      extensions: { code: 'TIMEOUT', retryable },
    });
  }
  const retryAfterMs = failure?.retryAfterMs;
  return new GraphQLError(`A part of the service is unavailable for a moment. ${advice}`, {
    extensions: {
      code: 'SUBGRAPH_UNAVAILABLE',
      retryable,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    },
  });
}

/** For a mutation that was cut off in the middle and carried no key. */
const UNKNOWN_OUTCOME =
  'Whether the change was made is not known: look before you repeat it. With an Idempotency-Key header repeating is safe.';
