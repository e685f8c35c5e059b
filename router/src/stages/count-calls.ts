// needs       token and viewer, prepared
// adds        plan: the name of the plan that is in force; one call of the viewer's organisation is counted in its month
// may answer  RATE_LIMITED 429 with retryAfterMs, when the calls of the month are used up

import type { CallCounter } from '../calls.ts';
import { type Exchange, preparedOf, Refusal } from '../exchange.ts';
import type { RequestStage } from '../pipeline.ts';
import { nameInForce } from '../plans.ts';

export interface CountCallsDeps {
  calls: CallCounter;
  /** Mutations that everybody may send at any time: signing in and out again is how a larger plan is learnt of. */
  freeFields: readonly string[];
}

export function createCountCalls({ calls, freeFields }: CountCallsDeps): RequestStage {
  const free = new Set(freeFields);
  return {
    name: 'count-calls',
    async run(exchange) {
      const { token } = exchange;
      if (!token || isFree(exchange, free)) return;
      const counting = calls.count(token.viewer.orgId, token.plan);
      // Awaited only where something has to be waited for.
      const counted = counting instanceof Promise ? await counting : counting;
      if (!counted.isAdmitted) throw usedUp(counted.limit ?? 0, counted.monthEndsAt);
      exchange.plan = counted.plan ? nameInForce(counted.plan, Date.now()) : null;
    },
  };
}

function isFree(exchange: Exchange, free: ReadonlySet<string>): boolean {
  const { operation } = preparedOf(exchange);
  if (operation.operation !== 'mutation') return false;
  return operation.selectionSet.selections.every(
    (field) => field.kind === 'Field' && free.has(field.name.value),
  );
}

/** Of the closed list the code that says "not now, later", which is what it is; the sentence names the quota. */
function usedUp(limit: number, monthEndsAt: number): Refusal {
  const retryAfterMs = Math.max(1, monthEndsAt - Date.now());
  const calls = new Intl.NumberFormat('en').format(limit);
  return new Refusal(
    'RATE_LIMITED',
    `The API calls of this calendar month (UTC) are used up: the plan of the organisation allows ${calls} (QUOTA_EXCEEDED). A larger plan has room for more at once.`,
    {
      status: 429,
      headers: { 'retry-after': String(Math.ceil(retryAfterMs / 1000)) },
      retryable: false,
      retryAfterMs,
    },
  );
}
