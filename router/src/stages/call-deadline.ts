// needs       a call to a subgraph, and when its operation began
// adds        deadlineAt: the end of the call's own time, or of its operation's where that comes first
// may answer  TIMEOUT, as an error beside the data of the other subgraphs

import type { CallStage } from '../pipeline.ts';

export interface CallDeadlines {
  /** Longest wait for one call, all its attempts together. */
  timeoutMs: number;
  /** The same for the subgraphs that are named. */
  timeoutsMs: Readonly<Record<string, number>>;
  /** From the arrival of an operation to its last answer. */
  operationTimeoutMs: number;
}

export function createCallDeadline({ timeoutMs, timeoutsMs, operationTimeoutMs }: CallDeadlines): CallStage {
  return {
    name: 'call-deadline',
    run(call, next) {
      const ownMs = timeoutsMs[call.subgraph] ?? timeoutMs;
      call.deadlineAt = Math.min(performance.now() + ownMs, call.exchange.startedAt + operationTimeoutMs);
      return next(call);
    },
  };
}
