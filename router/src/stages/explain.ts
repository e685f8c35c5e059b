// needs       prepared; viewer, where the router knows anybody
// adds        explanation, and extensions.explain of the answer: for those who send the header taskflow-explain, in development
// may answer  nothing; whoever may not read it gets the answer without it

import { Explanation } from '../explanation.ts';
import type { RequestStage } from '../pipeline.ts';

export const EXPLAIN_HEADER = 'taskflow-explain';

/** `hasAccounts`: then only a person who has signed in reads it. A plan tells how the supergraph is cut, never what is in it. */
export function createExplain({ hasAccounts }: { hasAccounts: boolean }): RequestStage {
  return {
    name: 'explain',
    run(exchange) {
      if (exchange.headers[EXPLAIN_HEADER] !== 'true') return;
      if (hasAccounts && exchange.viewer === null) return;
      if (exchange.prepared?.operation.operation === 'subscription') return;
      exchange.explanation = new Explanation(exchange);
      exchange.extensions.explain = exchange.explanation;
    },
  };
}
