import type { PlanClaim } from '@taskflow/kit/identity';
import type { Log } from '@taskflow/kit/log';
import type { RedisConnections } from '@taskflow/kit/redis';

/** Clocks differ, and a router may look a moment later. */
const MARGIN_MS = 60_000;

export interface PlanNews {
  /** Never rejects. Safe to call twice. */
  tell(orgId: string, plan: PlanClaim): Promise<void>;
}

/**
 * Tells the routers of a plan that access tokens do not know yet, so that a larger plan helps at once: a key that lives as
 * long as those tokens do. While Redis is away it is not told, and known with the next token.
 */
export function createPlanNews(
  { commands, keys }: Pick<RedisConnections, 'commands' | 'keys'>,
  { accessTokenTtlMs, log }: { accessTokenTtlMs: number; log: Log },
): PlanNews {
  return {
    async tell(orgId, plan) {
      try {
        await commands.set(keys.planNews(orgId), JSON.stringify(plan), 'PX', accessTokenTtlMs + MARGIN_MS);
      } catch (error) {
        log.warn({ err: error, orgId }, 'the routers could not be told of a plan; new tokens know it');
      }
    },
  };
}
