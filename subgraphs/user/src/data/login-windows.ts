/**
 * Failed sign-ins, counted per account and network address in a sliding window: the times of the failures in Redis.
 *
 *   look ─▶ locked?     before the password is tried
 *   fail ─▶ locked? else count it; with the last one the pair is locked, and the lock is kept in PostgreSQL too
 *   succeed ─▶ locked? else forget the failures
 *
 * Each is one script, so that Redis puts concurrent ones in order: however many come at once, exactly `failuresMax` of them
 * learn that their password was wrong; the others learn nothing, even with the right one. All times are those of Redis.
 *
 * While Redis does not answer PostgreSQL counts, as exactly (login-attempts.ts); from one to the other no failures are
 * carried, so that each change of Redis' state gives an attacker one more window at most. Locks are carried: those of
 * PostgreSQL are looked at as well for as long as a lock lasts after a start, a new connection or a failure of Redis.
 */
import { randomBytes } from 'node:crypto';
import type { Log } from '@taskflow/kit/log';
import type { RedisConnections } from '@taskflow/kit/redis';
import type { AttemptKey, Failure, LockRule, LoginAttempts, StoredAttempts } from './login-attempts.ts';

type Step = 'look' | 'fail' | 'succeed';

/** Answers for how many milliseconds the pair is locked, and whether this failure has locked it. */
const SCRIPT = `
  local time = redis.call('time')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local forgotten = tonumber(redis.call('get', KEYS[3]) or '0')
  local lockedAt = tonumber(redis.call('get', KEYS[2]) or '0')
  if lockedAt > forgotten then return { math.max(1, redis.call('pttl', KEYS[2])), 0 } end
  if ARGV[1] == 'succeed' then redis.call('del', KEYS[1]) end
  if ARGV[1] ~= 'fail' then return { 0, 0 } end
  redis.call('zremrangebyscore', KEYS[1], '-inf', math.max(now - ARGV[3], forgotten))
  redis.call('zadd', KEYS[1], now, ARGV[4])
  if redis.call('zcard', KEYS[1]) < tonumber(ARGV[2]) then
    redis.call('pexpire', KEYS[1], ARGV[3])
    return { 0, 0 }
  end
  redis.call('del', KEYS[1])
  redis.call('set', KEYS[2], now, 'PX', ARGV[3])
  return { 0, 1 }`;

/** In Redis' time, as the locks have it. */
const FORGET = `
  local time = redis.call('time')
  return redis.call('set', KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000), 'PX', ARGV[1])`;

/** After a failure PostgreSQL counts for this long before Redis is asked again: a frozen one costs two seconds a question. */
const AWAY_MS = 1_000;

export function createLoginWindows(
  redis: Pick<RedisConnections, 'commands' | 'keys'>,
  stored: StoredAttempts,
  { failuresMax, lockMs, log }: LockRule & { log: Log },
): LoginAttempts {
  const { commands, keys } = redis;
  let awayUntil = 0;
  let doubtUntil = performance.now() + lockMs;
  const doubt = () => {
    doubtUntil = performance.now() + lockMs;
  };
  commands.on('ready', doubt); // it may have come back without its data

  /** Null when Redis does not answer. */
  async function ask<T>(question: () => Promise<T>): Promise<T | null> {
    if (performance.now() < awayUntil) return null;
    try {
      return await question();
    } catch (error) {
      log.warn({ reason: (error as Error).message }, 'Redis does not count failed sign-ins; PostgreSQL does');
      awayUntil = performance.now() + AWAY_MS;
      doubt();
      return null;
    }
  }

  async function step(step: Step, { accountHash, address }: AttemptKey): Promise<Failure | null> {
    const account = Buffer.from(accountHash).toString('hex');
    const answer = await ask(() =>
      commands.eval(
        SCRIPT,
        3,
        ...[keys.loginFailures(account, address), keys.loginLock(account, address)],
        keys.loginForgotten(account),
        ...[step, failuresMax, lockMs, randomBytes(8).toString('base64url')],
      ),
    );
    if (answer === null) return null;
    const [lockedForMs, hasLocked] = answer as [number, number];
    return { lockedForMs, hasLocked: hasLocked === 1 };
  }

  const isDoubtful = () => performance.now() < doubtUntil;

  return {
    async lockedForMs(key) {
      const counted = await step('look', key);
      if (counted && !isDoubtful()) return counted.lockedForMs;
      return Math.max(counted?.lockedForMs ?? 0, await stored.lockedForMs(key));
    },

    async fail(key) {
      const counted = await step('fail', key);
      if (!counted) return stored.fail(key);
      if (counted.hasLocked) await stored.lock(key);
      return counted;
    },

    async succeed(key) {
      const counted = await step('succeed', key);
      if (counted && !isDoubtful()) return counted.lockedForMs;
      return Math.max(counted?.lockedForMs ?? 0, await stored.succeed(key));
    },

    async forget(accountHash) {
      const key = keys.loginForgotten(Buffer.from(accountHash).toString('hex'));
      await stored.forget(accountHash);
      await ask(() => commands.eval(FORGET, 1, key, lockMs));
    },
  };
}
