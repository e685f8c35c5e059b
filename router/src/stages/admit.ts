// needs       token and viewer, or the client's address when there is none
// adds        nothing: one request is counted, in this process, before anything is read of it; that of an API key in its minute, over all replicas
// may answer  RATE_LIMITED 429 with retryAfterMs

import { createKeys } from '@taskflow/kit/keys';
import type { Log } from '@taskflow/kit/log';
import type { RedisConnections } from '@taskflow/kit/redis';
import { RateLimiterMemory, RateLimiterRedis, type RateLimiterRes } from 'rate-limiter-flexible';
import { createBuckets } from '../cost/buckets.ts';
import { bucketsOf, type PointLimits } from '../cost/payers.ts';
import { Refusal } from '../exchange.ts';
import type { RequestStage } from '../pipeline.ts';

/** Requests, one point each; null: no limit. */
export type Admission = Pick<PointLimits, 'viewer' | 'address'>;

export interface AdmitDeps {
  admission: Admission;
  redis: Pick<RedisConnections, 'commands' | 'keys'> | null;
  log: Log;
}

export function createAdmit({ admission, redis, log }: AdmitDeps): RequestStage {
  const limits: PointLimits = { ...admission, key: null, organization: null };
  // Of each process alone: what operations cost is counted over all of them, in cost-charge.
  const requests = createBuckets({ redis: null, log });
  const keys = createKeys();
  const countKey = createKeyCounter(redis);
  return {
    name: 'admit',
    async run(exchange) {
      const { token } = exchange;
      if (token?.apiKey) {
        const { orgId, sessionId } = token.viewer;
        const used = await countKey(`${orgId}:${sessionId}`);
        if (used.consumedPoints > token.apiKey.requestsPerMinute) refuse(used.msBeforeNext);
        return;
      }
      const { isAdmitted, retryAfterMs } = await requests.take(bucketsOf(exchange, limits, keys), 1);
      if (!isAdmitted) refuse(retryAfterMs);
    },
  };
}

const MINUTE_S = 60;
/** A Redis that hangs holds up a request for this long; then it is counted here. */
const COUNT_TIMEOUT_MS = 250;

/** Counts in Redis; in this process while Redis is away. Every key has a limit of its own, so the counter has none. */
function createKeyCounter(redis: AdmitDeps['redis']): (key: string) => Promise<RateLimiterRes> {
  const unlimited = { points: Number.MAX_SAFE_INTEGER, duration: MINUTE_S };
  const here = new RateLimiterMemory(unlimited);
  if (!redis) return (key) => here.consume(key);
  const everywhere = new RateLimiterRedis({
    ...unlimited,
    storeClient: redis.commands,
    keyPrefix: redis.keys.rateLimit('api-key'),
    insuranceLimiter: here,
    rejectIfRedisNotReady: true,
  });
  return (key) => {
    const { promise: late, resolve } = Promise.withResolvers<RateLimiterRes>();
    const timer = setTimeout(() => resolve(here.consume(key)), COUNT_TIMEOUT_MS);
    return Promise.race([everywhere.consume(key), late]).finally(() => clearTimeout(timer));
  };
}

function refuse(msBeforeNext: number): never {
  const retryAfterMs = Math.max(1, Math.ceil(msBeforeNext));
  throw new Refusal('RATE_LIMITED', 'Too many requests. Please slow down.', {
    status: 429,
    headers: { 'retry-after': String(Math.ceil(retryAfterMs / 1000)) },
    retryable: true,
    retryAfterMs,
  });
}
