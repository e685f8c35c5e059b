// How an answer came about: the plan, the calls to subgraphs, their statements, the cost and the times.
//
// Made by the stage `explain`, filled by the call stage `explain-calls`, and read when the answer is written: until then
// calls are added.

import { prettyFormatQueryPlan } from '@apollo/query-planner';
import type { Exchange } from './exchange.ts';

/** One call to a subgraph. Times are milliseconds since the request arrived. */
export interface ExplainedCall {
  subgraph: string;
  startMs: number;
  durationMs: number;
  query: string;
  /** Entities that it asks for; 0 for a fetch of root fields. */
  entities: number;
  requestBytes: number;
  /** Sent to the subgraph's database; null when the subgraph was not asked, or does not tell. */
  statements: number | null;
  /** The code of what it failed with. */
  error?: string;
}

export class Explanation {
  readonly calls: ExplainedCall[] = [];
  readonly #exchange: Exchange;
  /** Everything in front of the execution: limits, parsing, validation, planning. */
  readonly #preparedMs: number;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
    this.#preparedMs = sinceArrival(exchange);
  }

  /** As a client reads it, at the moment of writing. */
  toJSON() {
    const { prepared, extensions } = this.#exchange;
    const counted = this.calls.filter(({ statements }) => statements !== null);
    return {
      operation: prepared?.operation.name?.value ?? null,
      executedBy: prepared?.compiled.isFallback
        ? `stock executor (${prepared.compiled.isFallback})`
        : 'router',
      timings: { preparedMs: this.#preparedMs, totalMs: sinceArrival(this.#exchange) },
      statements: counted.reduce((sum, { statements }) => sum + (statements ?? 0), 0),
      ...(extensions.cost === undefined ? {} : { cost: extensions.cost }),
      calls: this.calls,
      plan: prepared ? prettyFormatQueryPlan(prepared.compiled.plan) : null,
    };
  }
}

/** Milliseconds, to the hundredth. */
export function sinceArrival({ startedAt }: Exchange): number {
  return Math.round((performance.now() - startedAt) * 100) / 100;
}
