/**
 * The event path of one service, assembled: what it publishes, what it consumes, what its subscriptions read.
 *
 *   outbox ─▶ relay ─▶ Redis ─▶ consumer ─▶ apply          facts, nothing lost
 *      └────▶ feed ◀─ live hints                           subscriptions, in order
 *
 * start: relay, then consumer. stop: feed (ends subscriptions), consumer (finishes the fact in hand), relay (finishes the
 * batch and gives the lease back), Redis. All of it waits for Redis rather than fail: a service serves without.
 */

import type pg from 'pg';
import type { Apply } from './apply.ts';
import type { AuditKeeping } from './audit-retention.ts';
import { createEventStream, type EventStream } from './event-stream.ts';
import { createFeed } from './feed.ts';
import { createLive } from './live.ts';
import type { Log } from './log.ts';
import { createOutboxReader } from './outbox.ts';
import type { Cursors } from './page.ts';
import { createRedis, type RedisConnections } from './redis.ts';
import { createRelay } from './relay.ts';
import { createConsumer } from './stream.ts';
import type { TenantPool } from './tenant-pool.ts';

export interface EventPathOptions {
  /** The service, which is also the source of its facts: `task`. */
  readonly service: string;
  /** The services whose facts it consumes. */
  readonly consumes: readonly string[];
  /** The services that consume its facts. */
  readonly consumers: readonly string[];
  readonly database: { readonly pool: TenantPool; readonly system: pg.Pool };
  readonly cursors: Cursors;
  /** How long the audit log is kept. */
  readonly audit: AuditKeeping;
  readonly redisUrl: string;
  /** Separates test runs on one Redis. */
  readonly redisPrefix?: string | undefined;
  readonly log: Log;
}

export interface EventPath {
  readonly events: EventStream;
  readonly redis: RedisConnections;
  /** After each commit that appended facts or audit entries. */
  poke(): void;
  start(apply: Pick<Apply, 'apply' | 'onExhausted'>): void;
  /** Ends subscriptions, finishes what is in hand. Safe to call twice. */
  stop(): Promise<void>;
  /** For readiness: rejects while Redis is away. */
  ping(): Promise<void>;
}

export function createEventPath(options: EventPathOptions): EventPath {
  const { service, consumes, consumers, database, cursors, log } = options;
  const redis = createRedis({ url: options.redisUrl, prefix: options.redisPrefix ?? '', log });
  const outbox = createOutboxReader(database.pool);
  const live = createLive(redis, log);
  const feed = createFeed({ source: service, live, outbox, log });
  const relay = createRelay({
    source: service,
    pool: database.system,
    redis,
    consumers,
    audit: options.audit,
    log,
  });
  let consumer: ReturnType<typeof createConsumer> | null = null;

  return {
    events: createEventStream({ source: service, feed, cursors, positionOf: outbox.positionOf }),
    redis,
    poke: () => relay.poke(),
    start(apply) {
      relay.start();
      if (consumes.length === 0) return;
      consumer = createConsumer({ service, sources: consumes, redis, ...apply, log });
      consumer.start();
    },
    async stop() {
      await feed.close();
      await consumer?.stop();
      await relay.stop();
      await live.close();
      await redis.close();
    },
    async ping() {
      if (redis.status() === 'down') throw new Error('Redis is away');
      await redis.commands.ping();
    },
  };
}
