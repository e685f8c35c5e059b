import { randomUUID } from 'node:crypto';
import type { RedisConnections } from './redis.ts';

/**
 * Which consumer of a service reads which partition: a lease per (source, partition), held by one at a time.
 *
 *   free ──renew: SET NX──▶ held ──renew──▶ held      value `<consumer>:<nonce>`, expires unless renewed
 *     ▲                      │  └─ more than ceil(P / alive) held ─▶ surplus ──release──▶ free
 *     └────── expiry, release┘
 *
 * Fencing: every command that depends on a lease (read, acknowledge, count) compares the value inside Redis, in
 * the same script, so a holder that was suspended past its expiry cannot read or acknowledge anything.
 * Redis' clock decides about expiry in Redis; `validUntil` is measured from before the renewal was sent, on the
 * local monotonic clock, so a holder stops on its own before anybody else can start.
 */
export interface Lease {
  readonly source: string;
  readonly partition: number;
  readonly key: string;
  readonly value: string;
  /** On the clock of performance.now(). */
  validUntil: number;
  /** Others are alive and have too little: finish the current message, then release. */
  surplus: boolean;
}

export interface Leases {
  /** One round trip: shows a sign of life, renews what is held, takes what is free and fair. Returns all held. */
  renew(mode: 'take' | 'keep'): Promise<Lease[]>;
  /** Gives one back. Does nothing when it is somebody else's by now. */
  release(lease: Lease): Promise<void>;
  /** Gives everything back and withdraws the sign of life, so that the others take over at once. */
  leave(): Promise<void>;
}

const RENEW = `
local me, nonce, ttl, take = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4] == 'take'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], now + ttl, me)
redis.call('PEXPIRE', KEYS[1], ttl * 2)
local share = math.ceil((#KEYS - 1) / redis.call('ZCARD', KEYS[1]))
local held, result = 0, {}
for i = 2, #KEYS do
  local value = redis.call('GET', KEYS[i])
  result[i - 1] = ''
  if value and string.sub(value, 1, #me + 1) == me .. ':' then
    redis.call('PEXPIRE', KEYS[i], ttl)
    held = held + 1
    result[i - 1] = (held > share and '-' or '+') .. value
  end
end
for i = 2, #KEYS do
  if take and held < share and result[i - 1] == '' then
    local value = me .. ':' .. nonce
    if redis.call('SET', KEYS[i], value, 'NX', 'PX', ttl) then
      held = held + 1
      result[i - 1] = '+' .. value
    end
  end
end
return result`;

const RELEASE = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`;

export function createLeases(options: {
  service: string;
  partitions: { source: string; partition: number }[];
  redis: RedisConnections;
  leaseMs: number;
}): Leases {
  const { service, partitions, redis, leaseMs } = options;
  const me = randomUUID();
  const consumers = redis.keys.consumers(service);
  const keys = partitions.map(({ source, partition }) =>
    redis.keys.partitionLease(service, source, partition),
  );
  let held = new Map<string, Lease>();
  let renewals = 0;

  return {
    async renew(mode) {
      const sentAt = performance.now();
      const nonce = `${++renewals}`;
      const answers = (await redis.commands.eval(
        RENEW,
        keys.length + 1,
        consumers,
        ...keys,
        me,
        nonce,
        leaseMs,
        mode,
      )) as string[];
      const now = new Map<string, Lease>();
      answers.forEach((answer, index) => {
        const [key, place] = [keys[index], partitions[index]];
        if (answer === '' || key === undefined || place === undefined) return;
        const value = answer.slice(1);
        const known = held.get(key);
        const lease: Lease =
          known?.value === value ? known : { ...place, key, value, validUntil: 0, surplus: false };
        lease.validUntil = sentAt + leaseMs;
        lease.surplus = answer.startsWith('-');
        now.set(key, lease);
      });
      held = now;
      return [...held.values()];
    },
    async release(lease) {
      held.delete(lease.key);
      lease.validUntil = 0;
      await redis.commands.eval(RELEASE, 1, lease.key, lease.value);
    },
    async leave() {
      await Promise.all([...held.values()].map((lease) => this.release(lease)));
      await redis.commands.zrem(consumers, me);
    },
  };
}
