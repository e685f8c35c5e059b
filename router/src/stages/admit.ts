// needs       viewer, or the client's address when there is none
// adds        nothing: one request is counted in a window in this process
// may answer  RATE_LIMITED 429 with retryAfterMs

import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { type Exchange, Refusal } from '../exchange.ts';
import type { RequestStage } from '../pipeline.ts';

export interface Admission {
  /** Requests of one person, or of one address without a token, per window; 0 = no limit. */
  viewerRequestsMax: number;
  addressRequestsMax: number;
  windowMs: number;
}

export function createAdmit({ admission }: { admission: Admission }): RequestStage {
  const limiter = (points: number) =>
    points > 0 ? new RateLimiterMemory({ points, duration: admission.windowMs / 1000 }) : null;
  const viewers = limiter(admission.viewerRequestsMax);
  const addresses = limiter(admission.addressRequestsMax);
  return {
    name: 'admit',
    async run(exchange) {
      const { viewer } = exchange;
      await (viewer ? viewers : addresses)?.consume(keyOf(exchange)).catch(refuse);
    },
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
