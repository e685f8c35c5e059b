// needs       token and viewer, or the client's address when there is none
// adds        nothing: one request is counted in a window, in this process; that of an API key in its minute, over all replicas
// may answer  RATE_LIMITED 429 with retryAfterMs

import type { RedisConnections } from '@taskflow/kit/redis';
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import { type Exchange, Refusal } from '../exchange.ts';
import type { RequestStage } from '../pipeline.ts';

export interface Admission {
  /** Requests of one person, or of one address without a token, per window; 0 = no limit. */
  viewerRequestsMax: number;
  addressRequestsMax: number;
  windowMs: number;
}

export interface AdmitDeps {
  admission: Admission;
  redis: Pick<RedisConnections, 'commands' | 'keys'> | null;
}

export function createAdmit({ admission, redis }: AdmitDeps): RequestStage {
  const limiter = (points: number) =>
    points > 0 ? new RateLimiterMemory({ points, duration: admission.windowMs / 1000 }) : null;
  const viewers = limiter(admission.viewerRequestsMax);
  const addresses = limiter(admission.addressRequestsMax);
  const countKey = createKeyCounter(redis);
  return {
    name: 'admit',
    async run(exchange) {
      const { viewer, token } = exchange;
      if (token?.apiKey) {
        const { orgId, sessionId } = token.viewer;
        const used = await countKey(`${orgId}:${sessionId}`);
        if (used.consumedPoints > token.apiKey.requestsPerMinute) refuse(used);
        return;
      }
      await (viewer ? viewers : addresses)?.consume(keyOf(exchange)).catch(refuse);
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

function keyOf({ viewer, clientAddress }: Exchange): string {
  return viewer ? `${viewer.orgId}:${viewer.userId}` : clientAddress;
}

function refuse(reason: unknown): never {
  if (!(reason instanceof RateLimiterRes)) throw reason;
  const retryAfterMs = Math.max(1, Math.ceil(reason.msBeforeNext));
  throw new Refusal('RATE_LIMITED', 'Too many requests. Please slow down.', {
    status: 429,
    headers: { 'retry-after': String(Math.ceil(retryAfterMs / 1000)) },
    retryable: true,
    retryAfterMs,
  });
}
