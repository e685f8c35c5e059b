/**
 * One event, as the client selected it.
 *
 * The whole plan runs again with the event as the answer of its primary fetch, so that the entity fetches of
 * `rest` are batched as in any query: one call per fetch of the plan, never one per item. Each event is an
 * exchange of its own, with its own request id, signed contexts and deadlines.
 */
import { randomUUID } from 'node:crypto';
import type { FetchNode, PlanNode, QueryPlan } from '@apollo/query-planner';
import { type AnswerBody, type Exchange, preparedOf } from '../exchange.ts';
import type { SubgraphAnswer } from '../gateway/subgraph-calls.ts';
import type { Pipeline } from '../pipeline.ts';
import type { FeedEvent } from './feeds.ts';

/** The payload of the event's frame, as JSON. Never rejects: an event that cannot be completed says so. */
export type RenderEvent = (event: FeedEvent) => Promise<string>;

export function createEventRenderer(options: {
  pipeline: Pipeline;
  /** The exchange of the subscription, prepared. */
  exchange: Exchange;
  primary: FetchNode;
  rest: PlanNode | undefined;
}): RenderEvent {
  const { pipeline, exchange, primary, rest } = options;
  const { supergraph } = preparedOf(exchange);
  const plan: QueryPlan = {
    kind: 'QueryPlan',
    node: rest ? { kind: 'Sequence', nodes: [primary, rest] } : primary,
  };

  return async ({ result }) => {
    const own: Exchange = {
      ...exchange,
      requestId: randomUUID(),
      startedAt: performance.now(),
      answerHeaders: {},
      absentTypes: new Set(),
      onAnswered: [],
    };
    const { data = null, errors } = result;
    const answer = { data, ...(errors ? { errors } : {}) } as SubgraphAnswer;
    const body: AnswerBody | Error = await supergraph
      .executePlan(plan, own, (subgraph, request) =>
        subgraph === primary.serviceName && request.query === primary.operation ? answer : undefined,
      )
      .catch((error) => (error instanceof Error ? error : new Error(String(error))));
    return JSON.stringify((await pipeline.respond(own, body)).body);
  };
}
