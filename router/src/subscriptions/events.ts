/**
 * One event, as the client selected it.
 *
 * The whole plan runs again with the event as the answer of its primary fetch, so that the entity fetches of
 * `rest` are batched as in any query: one call per fetch of the plan, never one per item. Each event is an
 * exchange of its own, with its own request id, signed contexts and deadlines.
 */
import { randomUUID } from 'node:crypto';
import { type AnswerBody, bodyText, type Exchange, paramsOf, preparedOf } from '../exchange.ts';
import type { SubgraphAnswer } from '../gateway/subgraph-calls.ts';
import type { Pipeline } from '../pipeline.ts';
import { bodyOf } from '../stages/execute.ts';
import type { UpstreamResult } from './upstream.ts';

/** The payload of the event's frame, as JSON. Never rejects: an event that cannot be completed says so. */
export type RenderEvent = (result: UpstreamResult) => Promise<string>;

export function createEventRenderer(options: {
  pipeline: Pipeline;
  /** The exchange of the subscription, prepared. */
  exchange: Exchange;
}): RenderEvent {
  const { pipeline, exchange } = options;
  const { variables } = paramsOf(exchange);

  return async (result) => {
    // Of now: a swap of the supergraph brings an operation that goes on a new one.
    const { compiled, supergraph } = preparedOf(exchange);
    const own: Exchange = {
      ...exchange,
      requestId: randomUUID(),
      startedAt: performance.now(),
      charge: null,
      extensions: {},
      answerHeaders: {},
      onAnswered: [],
    };
    const { data = null, errors } = result;
    const event = { data, ...(errors ? { errors } : {}) } as SubgraphAnswer;
    const answer: AnswerBody | Error = await compiled
      .execute({ exchange: own, variables, call: supergraph.call, event })
      .then(bodyOf, (error) => (error instanceof Error ? error : new Error(String(error))));
    const { body } = await pipeline.respond(own, answer);
    return bodyText(body ?? {});
  };
}
