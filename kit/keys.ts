/**
 * Every Redis key and channel TaskFlow uses, built in one place.
 *
 *   general before specific; the part in braces is the hash tag of Redis Cluster;
 *   everything that is not a stream is written with a TTL by its owner.
 *
 * Keys are reached through `redis.keys` (see redis.ts), so that the prefix which separates test runs on one
 * Redis cannot be forgotten.
 */

/** Work streams per source. Fixed: changing it re-routes aggregates and so breaks their order in flight. */
export const WORK_PARTITIONS = 8;

/** The one field of an entry in a work stream: the fact's envelope as JSON. */
export const WORK_FIELD = 'fact';

/** The work stream an aggregate belongs to: FNV-1a over tenant and id, the same in every process and release. */
export function partitionOf(orgId: string, aggregateId: string): number {
  let hash = 0x811c9dc5;
  for (const char of Buffer.from(`${orgId}:${aggregateId}`)) {
    hash = Math.imul(hash ^ char, 0x01000193) >>> 0;
  }
  return hash % WORK_PARTITIONS;
}

/** The consumer group of a service: one per service and stream, shared by its replicas. */
export function groupOf(service: string): string {
  return service;
}

export type Keys = ReturnType<typeof createKeys>;

/** `prefix` comes before everything (empty in production). Safe to call as often as you like: no state. */
export function createKeys(prefix = '') {
  return {
    /** Channel: hints `{ seq, fact }` of one tenant's facts from one source. May be lost. */
    liveChannel: (source: string, orgId: string) => `${prefix}live:${source}:{${orgId}}`,
    /** Stream: facts of one source, at least once, in order per aggregate. */
    workStream: (source: string, partition: number) => `${prefix}work:${source}:{${partition}}`,
    /** String: written by the relay beside the work streams; its absence means that Redis was emptied. */
    sentinel: (source: string) => `${prefix}sentinel:${source}`,
    /** String: which consumer of `service` holds a partition, as `<consumer>:<nonce>`. */
    partitionLease: (service: string, source: string, partition: number) =>
      `${prefix}lease:${service}:${source}:{${partition}}`,
    /** Sorted set: the consumers of `service` that are alive, by the time their sign of life expires. */
    consumers: (service: string) => `${prefix}consumers:${service}`,
    /** Channel: what control.ts says of one tenant's sessions and members. May be lost. */
    controlChannel: (orgId: string) => `${prefix}control:{${orgId}}`,
    /** String: where a member stands, by epoch (control.ts). Tokens of an older epoch are refused. */
    memberStanding: (orgId: string, userId: string) => `${prefix}standing:{${orgId}}:${userId}`,
    /** String: where the whole organisation stands, by version (control.ts). */
    organizationStanding: (orgId: string) => `${prefix}standing:{${orgId}}`,
    /** String: present while a session is revoked and its access tokens could still be alive. */
    revokedKey: (orgId: string, sessionId: string) => `${prefix}revoked:{${orgId}}:${sessionId}`,
    /** Hash (tally.ts): calls of one tenant in a month, `2026-11`, by who counted them. */
    apiCalls: (orgId: string, month: string) => `${prefix}calls:{${orgId}}:${month}`,
    /** Sorted set: tenants that called in a month, by when they were seen calling. */
    apiCallers: (month: string) => `${prefix}callers:{${month}}`,
    /** String: a tenant's plan, as long as access tokens may live that do not know it. */
    planNews: (orgId: string) => `${prefix}plan:{${orgId}}`,
    /** Sorted set: failed sign-ins of an account from one network address, by time. The account is a hash, in hex. */
    loginFailures: (account: string, address: string) => `${prefix}login:{${account}}:failures:${address}`,
    /** String: since when that pair is locked; present as long as it is. */
    loginLock: (account: string, address: string) => `${prefix}login:{${account}}:lock:${address}`,
    /** String: what the account failed until then, from wherever, does not count any more. */
    loginForgotten: (account: string) => `${prefix}login:{${account}}:forgotten`,
    /** Sorted set: requests of one kind from one network address, by time. */
    requests: (name: string, address: string) => `${prefix}requests:${name}:${address}`,
    /** String: a GraphQL document by the SHA-256 of its text, in hex. */
    persistedDocument: (hash: string) => `${prefix}document:${hash}`,
    /** Hash: the points of one tenant, or of one caller of it (router/src/cost/buckets.ts). */
    pointsOfTenant: (orgId: string, caller = 'all') => `${prefix}points:{${orgId}}:${caller}`,
    /** Hash: the points of those who call from one network without signing in. */
    pointsOfNetwork: (network: string) => `${prefix}points:network:{${network}}`,
    /** String: what the router keeps of a subgraph's answers for one tenant (empty: for all), by a hash of what was asked. */
    cached: (orgId: string, hash: string) => `${prefix}cached:{${orgId}}:${hash}`,
    /** Sorted set: how far the kept answers of each subgraph reach for one tenant; what was kept before is not found any more. */
    cacheVersions: (orgId: string) => `${prefix}cache-versions:{${orgId}}`,
    /** Prefix handed to a rate limiter; it appends the counted subject. */
    rateLimit: (name: string) => `${prefix}limit:${name}`,
  };
}
