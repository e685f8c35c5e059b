/** How often something may be asked for from one network address, in a sliding window: the times of the requests, in Redis. */
import { randomBytes } from 'node:crypto';
import type { Log } from '@taskflow/kit/log';
import type { RedisConnections } from '@taskflow/kit/redis';

export interface RequestLimit {
  readonly name: string;
  readonly max: number;
  readonly windowMs: number;
}

export interface RequestLimits {
  /** Takes one, and answers 0; or for how many milliseconds none is left. Never rejects. */
  take(address: string): Promise<number>;
}

const TAKE = `
  local time = redis.call('time')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('zremrangebyscore', KEYS[1], '-inf', now - ARGV[2])
  if redis.call('zcard', KEYS[1]) >= tonumber(ARGV[1]) then
    local oldest = redis.call('zrange', KEYS[1], 0, 0, 'withscores')
    return math.max(1, oldest[2] + ARGV[2] - now)
  end
  redis.call('zadd', KEYS[1], now, ARGV[3])
  redis.call('pexpire', KEYS[1], ARGV[2])
  return 0`;

/** While Redis is away everything passes: what is asked for has a limit of its own behind it. */
export function createRequestLimits(
  { commands, keys }: Pick<RedisConnections, 'commands' | 'keys'>,
  { name, max, windowMs }: RequestLimit,
  log: Log,
): RequestLimits {
  return {
    async take(address) {
      try {
        const key = keys.requests(name, address);
        const id = randomBytes(8).toString('base64url');
        return (await commands.eval(TAKE, 1, key, max, windowMs, id)) as number;
      } catch (error) {
        log.warn({ reason: (error as Error).message, name }, 'Redis does not count requests; all pass');
        return 0;
      }
    },
  };
}
