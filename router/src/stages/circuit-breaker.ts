// needs       a call to a subgraph
// adds        nothing; a subgraph that keeps failing is left alone for a while, and one with too many calls waiting gets no more
// may answer  SUBGRAPH_UNAVAILABLE with retryAfterMs: no call is sent

import type { Breakers } from '../gateway/breakers.ts';
import type { CallStage } from '../pipeline.ts';

export function createCircuitBreaker({ breakers }: { breakers: Breakers }): CallStage {
  return {
    name: 'circuit-breaker',
    run: (call, next) => breakers.run(call, next),
  };
}
