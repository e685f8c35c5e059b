// needs       prepared
// adds        the answer: data of the subgraphs, partial where one of them failed; in parts, where the client takes them
// may answer  BAD_REQUEST 406 to a subscription of a client that takes no stream, to a query or mutation of one that takes nothing else · UNAUTHENTICATED (or what a cookie's token was refused for) 401 to an anonymous request for a viewer's data

import { streamOf, takesJson, takesParts } from '../accept.ts';
import {
  type Answer,
  type AnswerBody,
  dataOf,
  type Exchange,
  paramsOf,
  preparedOf,
  Refusal,
} from '../exchange.ts';
import type { ExecutionResult } from '../execution/compiled-operation.ts';
import type { OperationFlights } from '../gateway/operation-flights.ts';
import type { RequestStage } from '../pipeline.ts';

const NO_STREAM =
  'A subscription is answered in three ways: over a WebSocket at this address (graphql-transport-ws), as Accept: multipart/mixed;subscriptionSpec=1.0, or as Accept: text/event-stream.';

const ONLY_SUBSCRIPTIONS =
  'The Accept header allows the answers of subscriptions only: add application/json.';

/** `operations`: shares what several ask at the same time; absent or null: each executes for itself. */
export function createExecute(operations?: OperationFlights | null): RequestStage {
  return {
    name: 'execute',
    async run(exchange): Promise<Answer> {
      const prepared = preparedOf(exchange);
      if (prepared.operation.operation === 'subscription') {
        throw new Refusal('BAD_REQUEST', NO_STREAM, { status: 406 });
      }
      if (exchange.http) checkAccept(exchange.headers.accept);
      const { variables } = paramsOf(exchange);
      const { call } = prepared.supergraph;
      const run = { exchange, variables, call, takesParts: exchange.takesParts };
      const result = await (operations ? operations.execute(run) : prepared.compiled.execute(run));
      exchange.fallback = result.fallback ?? null;
      exchange.merged = result.merged ?? null;
      const body = bodyOf(result);
      const isRefused = needsSignIn(exchange, body);
      if (isRefused && exchange.cookieRefusal) throw exchange.cookieRefusal;
      const { deferred } = result;
      return { status: isRefused ? 401 : 200, headers: {}, body, ...(deferred ? { parts: deferred } : {}) };
    },
  };
}

/** Before anything is executed whose answer the client could not read. */
function checkAccept(accept: string | undefined): void {
  if (takesJson(accept) || takesParts(accept) || streamOf(accept) === 'sse') return;
  throw new Refusal('BAD_REQUEST', ONLY_SUBSCRIPTIONS, { status: 406 });
}

/** The members that execution gives; errors are raw. */
export function bodyOf({ dataText, errors, extensions }: ExecutionResult): AnswerBody {
  return {
    ...(errors.length > 0 ? { errors } : {}),
    ...(dataText === null ? {} : { dataText }),
    ...(extensions ? { extensions } : {}),
  };
}

/** The subgraph decides what an anonymous caller may do; when the answer is "nothing", HTTP says so as well. */
function needsSignIn({ viewer }: Exchange, body: AnswerBody): boolean {
  const { errors } = body;
  if (viewer || !errors || errors.length === 0) return false;
  if (errors.some((error) => error.extensions?.code !== 'UNAUTHENTICATED')) return false;
  const data = dataOf(body);
  return data == null || Object.values(data).every((value) => value === null);
}
