// needs       a call to a subgraph
// adds        a signal that ends it when its time is over
// may answer  TIMEOUT, as an error beside the data of the other subgraphs

import type { CallStage } from '../pipeline.ts';

export function createCallDeadline({ timeoutMs }: { timeoutMs: number }): CallStage {
  return {
    name: 'call-deadline',
    run(call, next) {
      call.signal = AbortSignal.timeout(timeoutMs);
      return next(call);
    },
  };
}
