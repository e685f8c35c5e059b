// needs       charge; the answer as it was executed
// adds        extensions.cost, headers ratelimit and ratelimit-policy; gives back what the answer has not cost
// may answer  nothing

import type { Buckets } from '../cost/buckets.ts';
import { type Answer, type Charge, dataOf, type Exchange } from '../exchange.ts';
import type { AnswerStage } from '../pipeline.ts';

/** Where only the text is left, reading a smaller answer again costs more than the points that it would give back. */
const WORTH_READING = 100;

export function createCostSettle({ buckets }: { buckets: Buckets }): AnswerStage {
  return {
    name: 'cost-settle',
    run(exchange, answer) {
      const { charge } = exchange;
      if (!charge) return answer;
      const actual = actualOf(exchange, charge, answer);
      // An answer with errors may have cost all that it could, and a subscription goes on.
      const isWhole = actual !== null && !answer.body?.errors?.length;
      if (isWhole && actual < charge.requested) buckets.give(charge.buckets, charge.requested - actual);
      exchange.charge = null; // paid
      exchange.merged = null;
      tell(exchange, charge, actual, buckets);
      return answer;
    },
  };
}

/** Null: not known. */
function actualOf({ prepared, merged }: Exchange, charge: Charge, { body }: Answer): number | null {
  if (charge.isRefused || !prepared || prepared.operation.operation === 'subscription') return null;
  if (!body || (body.data == null && body.dataText == null)) return null;
  if (!merged && charge.requested < WORTH_READING) return null;
  return Math.max(1, charge.cost.actual(merged ?? dataOf(body), prepared.variables));
}

/** What callers read: the operation's cost, and where their own bucket stands. */
function tell(
  { extensions, viewer, http, answerHeaders }: Exchange,
  { requested, limit, buckets: [own] }: Charge,
  actual: number | null,
  buckets: Buckets,
): void {
  const level = own ? buckets.levelOf(own) : null;
  extensions.cost = {
    requested: Math.min(requested, Number.MAX_SAFE_INTEGER),
    ...(actual === null ? {} : { actual }),
    ...(limit === null ? {} : { limit }),
    // A stranger's answer may be kept for others: where he stands is in headers alone, which are taken off then.
    ...(level && viewer
      ? { remaining: level.remaining, resetAt: new Date(Date.now() + level.fullInMs).toISOString() }
      : {}),
  };
  if (!http || !own || !level) return;
  const { name, limit: bucket } = own;
  const windowS = Math.ceil(bucket.capacity / bucket.pointsPerS);
  answerHeaders['ratelimit-policy'] = `"${name}";q=${bucket.capacity};w=${windowS}`;
  answerHeaders.ratelimit = `"${name}";r=${level.remaining};t=${Math.ceil(level.fullInMs / 1000)}`;
}
