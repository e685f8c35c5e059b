// needs       deadlineAt
// adds        a second attempt at a read that failed on the way; at a mutation only when the first was never sent, or has a key
// may answer  nothing: the last failure goes on

import { setTimeout as sleep } from 'node:timers/promises';
import { rootFieldsOf } from '@taskflow/kit/service-context';
import { CallFailure } from '../gateway/call-failure.ts';
import type { SubgraphAnswer, SubgraphCall } from '../gateway/subgraph-calls.ts';
import type { CallStage } from '../pipeline.ts';

export interface RetryOptions {
  /** Attempts after the first. */
  retriesMax: number;
  /** Whether the subgraphs know Idempotency-Key: ours do, except for `credentialFields`. */
  knowsKeys: boolean;
  credentialFields: readonly string[];
}

/** Wide enough that the callers of one moment do not come back at one moment, small beside any deadline. */
const PAUSE_MIN_MS = 5;
const PAUSE_MAX_MS = 50;
/** An outage must not double its own load: one retry for ten calls, and this many in a burst. */
const CALLS_PER_RETRY = 10;
const BURST_MAX = 20;

export function createRetry({ retriesMax, knowsKeys, credentialFields }: RetryOptions): CallStage {
  const budgets = new Map<string, Budget>();

  function budgetOf({ subgraph }: SubgraphCall): Budget {
    let budget = budgets.get(subgraph);
    if (!budget) {
      budget = new Budget();
      budgets.set(subgraph, budget);
    }
    return budget;
  }

  function mayRepeat(call: SubgraphCall): boolean {
    if (call.request.isRead) return true;
    const { headers, prepared } = call.exchange;
    if (!knowsKeys || headers['idempotency-key'] === undefined || !prepared) return false;
    const fields = rootFieldsOf(prepared.document, prepared.operation.name?.value);
    return !fields.some((field) => credentialFields.includes(field));
  }

  return {
    name: 'retry',
    async run(call, next) {
      const budget = budgetOf(call);
      budget.earn();
      for (let attempt = 0; ; attempt++) {
        try {
          const answer = await next(call);
          if (attempt === retriesMax || !saysTryAgain(call, answer) || !budget.spend()) return answer;
        } catch (error) {
          const mayHelp =
            error instanceof CallFailure &&
            (error.wasNeverSent ||
              ((error.kind === 'lost' || error.kind === 'unavailable') && mayRepeat(call)));
          if (!mayHelp || attempt === retriesMax || !hasTime(call) || !budget.spend()) throw error;
        }
        await sleep(PAUSE_MIN_MS + Math.random() * (PAUSE_MAX_MS - PAUSE_MIN_MS));
      }
    },
  };
}

/** Its database was away for a moment: a read that brought nothing else is asked again. */
function saysTryAgain(call: SubgraphCall, { data, errors }: SubgraphAnswer): boolean {
  if (!errors || errors.length === 0 || !call.request.isRead || !hasTime(call)) return false;
  if (data != null && Object.values(data).some((value) => value !== null)) return false;
  return errors.every(
    ({ extensions }) => extensions?.code === 'SUBGRAPH_UNAVAILABLE' && extensions.retryable === true,
  );
}

function hasTime({ deadlineAt, cancellation }: SubgraphCall): boolean {
  return !cancellation.isCancelled && deadlineAt - performance.now() > PAUSE_MAX_MS;
}

class Budget {
  #left = BURST_MAX;

  earn(): void {
    this.#left = Math.min(BURST_MAX, this.#left + 1 / CALLS_PER_RETRY);
  }

  spend(): boolean {
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}
