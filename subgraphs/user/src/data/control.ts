import type { Log } from '@taskflow/kit/log';
import type { RedisConnections } from '@taskflow/kit/redis';

export interface Control {
  /** Access tokens of the session are refused, and its sockets closed, on every router replica. Never rejects. */
  revokeSession(session: { orgId: string; userId: string; sessionId: string }): Promise<void>;
}

/** Clocks differ, and a router may look a moment later. */
const MARGIN_MS = 60_000;

/**
 * Tells the routers (router/src/revocation.ts): a key for those who look, a message for those who listen. While Redis is
 * away neither arrives, and the session's access tokens live on for the rest of their ten minutes.
 */
export function createControl(
  redis: Pick<RedisConnections, 'commands' | 'keys'>,
  { accessTokenTtlMs, log }: { accessTokenTtlMs: number; log: Log },
): Control {
  return {
    async revokeSession({ orgId, userId, sessionId }) {
      try {
        const { commands, keys } = redis;
        await commands.set(keys.revokedKey(orgId, sessionId), '1', 'PX', accessTokenTtlMs + MARGIN_MS);
        await commands.publish(keys.controlChannel(orgId), JSON.stringify({ user: userId, sid: sessionId }));
      } catch (error) {
        log.warn({ err: error, orgId, sessionId }, 'the routers could not be told that a session has ended');
      }
    },
  };
}
