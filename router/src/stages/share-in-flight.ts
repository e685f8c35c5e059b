// needs       a call to a subgraph, and the scope of its caller
// adds        nothing; a read that is already on its way for the same scope, in the same epoch, is waited for instead of sent
// may answer  what the shared call answered, or was refused with

import type { Flights } from '../gateway/flights.ts';
import type { CallStage } from '../pipeline.ts';

export function createShareInFlight({ flights }: { flights: Flights }): CallStage {
  return {
    name: 'share-in-flight',
    run: (call, next) => flights.run(call, next),
  };
}
