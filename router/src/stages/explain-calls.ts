// needs       a call to a subgraph; the explanation of its exchange, if one was asked for
// adds        the call, how long it took and how many statements it cost, to the explanation
// may answer  nothing

import { STATEMENTS_HEADER } from '@taskflow/kit/identity';
import { GraphQLError } from 'graphql';
import { sinceArrival } from '../explanation.ts';
import type { SubgraphCall } from '../gateway/subgraph-calls.ts';
import type { CallStage } from '../pipeline.ts';

export function createExplainCalls(): CallStage {
  return {
    name: 'explain-calls',
    async run(call, next) {
      const { explanation } = call.exchange;
      if (!explanation) return next(call);
      const startMs = sinceArrival(call.exchange);
      const explained = {
        subgraph: call.subgraph,
        startMs,
        durationMs: 0,
        query: call.request.query,
        entities: entitiesOf(call),
        requestBytes: Buffer.byteLength(call.request.body),
        statements: null as number | null,
      };
      explanation.calls.push(explained);
      try {
        return await next(call);
      } catch (error) {
        const code = error instanceof GraphQLError ? String(error.extensions.code) : 'SUBGRAPH_UNAVAILABLE';
        Object.assign(explained, { error: code });
        throw error;
      } finally {
        explained.durationMs = Math.round((sinceArrival(call.exchange) - startMs) * 100) / 100;
        const told = Number(call.answerHeaders[STATEMENTS_HEADER]);
        explained.statements = Number.isInteger(told) ? told : null;
      }
    },
  };
}

/** Several entity fetches may travel as one: each has representations of its own. */
function entitiesOf({ request }: SubgraphCall): number {
  return Object.values(request.variables()).reduce<number>((sum, value) => sum + representationsIn(value), 0);
}

function representationsIn(value: unknown): number {
  if (!Array.isArray(value)) return 0;
  return value.filter((item) => typeof item === 'object' && item !== null && '__typename' in item).length;
}
