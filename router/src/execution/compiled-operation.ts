// What the rest of the router knows of an executor: a compiled operation, what it is run with, and what comes out.

import type { QueryPlan } from '@apollo/query-planner';
import type { GraphQLError, GraphQLFormattedError, OperationTypeNode } from 'graphql';
import type { Exchange } from '../exchange.ts';
import type { CallSubgraph, SubgraphAnswer } from '../gateway/subgraph-calls.ts';

export type RawError = GraphQLError | GraphQLFormattedError;

/** One operation of one document, planned and compiled for one supergraph; lives as long as its document is known. */
export interface CompiledOperation {
  readonly kind: OperationTypeNode;
  /** For reading. Where variables decide what is selected, the plan with those decisions still in it. */
  readonly plan: QueryPlan;
  /** What is executed for these variables. A subscription's has the node kind `Subscription { primary, rest }`. */
  planFor(variables: Readonly<Record<string, unknown>>): QueryPlan;
  /** Names of the root fields, aliases resolved, fragments expanded. */
  readonly rootFields: readonly string[];
  /** Why the stock executor runs it, or has run it for some variables; null for the compiled one. */
  readonly isFallback: string | null;
  /** Rejects only for bugs: what a client must hear is in the result. */
  execute(run: OperationRun): Promise<ExecutionResult>;
}

export interface OperationRun {
  readonly exchange: Exchange;
  /** As the client sent them, found coercible by `parse-validate`: defaults are for the operation's texts to fill in. */
  readonly variables: Readonly<Record<string, unknown>>;
  readonly call: CallSubgraph;
  /** Answers the primary fetch of a subscription. Data is merged into it: give each run a fresh one. */
  readonly event?: SubgraphAnswer | undefined;
  /** The client takes an answer in parts; without it `@defer` is a hint that is not taken. */
  readonly takesParts?: boolean | undefined;
}

export interface ExecutionResult {
  /** The member `data` as JSON text ("null" when a null has taken everything); null: not executed, the answer has none. */
  readonly dataText: string | null;
  /** Raw: `mask-errors` decides what of them a client reads. */
  readonly errors: readonly RawError[];
  readonly extensions?: Record<string, unknown> | undefined;
  /** Why the stock executor ran it; absent: the compiled one did. */
  readonly fallback?: string | undefined;
  /**
   * What `dataText` was written from, by response keys, with what the plan needed besides: to be read only. Introspection is
   * there as text. Absent: nobody kept it.
   */
  readonly merged?: Readonly<Record<string, unknown>> | undefined;
  /** What comes after the initial answer; null: nothing. */
  readonly deferred: AsyncIterable<DeferredPart> | null;
}

/** One part of an answer with `@defer`, in the form of the specification's draft of 2022-08-24. */
export interface DeferredPart {
  readonly incremental: readonly IncrementalData[];
  readonly hasNext: boolean;
}

export interface IncrementalData {
  readonly path: readonly (string | number)[];
  readonly label?: string | undefined;
  readonly dataText: string;
  readonly errors?: readonly RawError[] | undefined;
}
