// needs       prepared, with its variables; token and viewer, or the client's address when there is none
// adds        charge: what the operation may cost, taken from the buckets of its caller; extensions.cost
// may answer  COST_LIMIT_EXCEEDED 400 · RATE_LIMITED 429 with retryAfterMs · GRAPHQL_VALIDATION_FAILED 400 (a slicing argument that the schema requires)

import type { Keys } from '@taskflow/kit/keys';
import type { Buckets, Taken } from '../cost/buckets.ts';
import type { Costs } from '../cost/costs.ts';
import { bucketsOf, type PointLimits } from '../cost/payers.ts';
import { type Charge, type Exchange, preparedOf, Refusal } from '../exchange.ts';
import type { RequestStage } from '../pipeline.ts';

export interface CostLimits {
  /** Points that one operation may cost; 0 = no limit. */
  costMax: number;
  /** Items of a list that the schema says nothing about. */
  listSize: number;
  points: PointLimits;
}

export interface CostChargeDeps {
  limits: CostLimits;
  costs: Costs;
  buckets: Buckets;
  keys: Keys;
}

/** An operation that asks for nothing is an operation. */
const POINTS_MIN = 1;

export function createCostCharge({ limits, costs, buckets, keys }: CostChargeDeps): RequestStage {
  const { costMax, points } = limits;
  const isOff = costMax === 0 && Object.values(points).every((limit) => limit === null);
  return {
    name: 'cost-charge',
    run(exchange) {
      if (isOff) return;
      const prepared = preparedOf(exchange);
      const cost = costs.of(prepared);
      const requested = Math.max(POINTS_MIN, cost.requested(prepared.variables));
      const isTooMuch = costMax > 0 && requested > costMax;
      exchange.charge = {
        ...{ cost, requested, limit: costMax > 0 ? costMax : null },
        buckets: isTooMuch ? [] : bucketsOf(exchange, points, keys),
      };
      if (isTooMuch) throw tooExpensive(requested, costMax);
      const taking = buckets.take(exchange.charge.buckets, requested);
      // Awaited only where Redis has to be asked.
      return taking instanceof Promise
        ? taking.then((taken) => admit(taken, exchange))
        : admit(taking, exchange);
    },
  };
}

function admit({ isAdmitted, retryAfterMs, refusedBy }: Taken, exchange: Exchange): undefined {
  if (isAdmitted) return;
  exchange.charge = { ...(exchange.charge as Charge), isRefused: true };
  const whose = refusedBy?.name === 'organization' ? 'The organisation' : 'You';
  throw new Refusal(
    'RATE_LIMITED',
    `${whose} asked for too much in a short time. Please slow down, or ask for less at once.`,
    {
      status: 429,
      headers: { 'retry-after': String(Math.ceil(retryAfterMs / 1000)) },
      retryable: true,
      retryAfterMs,
    },
  );
}

function tooExpensive(requested: number, limit: number): Refusal {
  const shown = Number.isSafeInteger(requested) ? String(requested) : 'far too many';
  return new Refusal(
    'COST_LIMIT_EXCEEDED',
    `The operation may cost ${shown} points; at most ${limit} are accepted. Ask for fewer items at once (first), for lists within lists above all, or for less of each.`,
  );
}
