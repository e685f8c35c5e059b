/**
 * Redis for tests: one server per run, a random prefix per file; and servers of one's own for tests that break
 * them. Everything that is started or connected here registers itself for clean-up.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type PrivateRedis, startRedis } from '@taskflow/dev/redis';
import { createLog } from '@taskflow/kit/log';
import { createRedis, type RedisConnections } from '@taskflow/kit/redis';
import { afterAll, onTestFinished } from 'vitest';

/** Set by the global set-up and inherited by every worker. */
const URL_VARIABLE = 'TASKFLOW_TEST_REDIS_URL';
const log = createLog({ process: 'test', level: process.env.LOG_LEVEL ?? 'silent' });

/** For the global set-up: starts the one Redis of this run and tells the workers where it is. */
export async function startTestRedis(): Promise<{ url: string; stop(): Promise<void> }> {
  const { redis, stop } = await startInScratch();
  process.env[URL_VARIABLE] = redis.url;
  return { url: redis.url, stop };
}

export interface TestRedis {
  url: string;
  prefix: string;
  /** Connections of their own under this prefix, closed when the file (or `close`) is done. */
  connect(): Promise<RedisConnections>;
}

/** Call at the top of a test file or in beforeAll. Outside a run with global set-up it starts a Redis itself. */
export async function aRedis(): Promise<TestRedis> {
  const url = process.env[URL_VARIABLE] ?? (await startTestRedis()).url;
  const prefix = `test-${randomBytes(6).toString('hex')}:`;
  const open: RedisConnections[] = [];
  afterAll(() => Promise.all(open.map((redis) => redis.close())));
  return { url, prefix, connect: () => connectTo(url, prefix, open) };
}

export interface OwnRedis {
  url: string;
  connect(): Promise<RedisConnections>;
  /** Stops it in an orderly way: what was written is kept. */
  stop(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** SIGSTOP: connections stay open and nobody answers, until `resume`. */
  freeze(): void;
  resume(): void;
  /** Starts it again on the same port, with its data unless `empty`. */
  restart(options?: { empty?: boolean }): Promise<void>;
}

/** A Redis for one test to break; stopped when the test has finished. */
export async function startOwnRedis(): Promise<OwnRedis> {
  const dir = await mkdtemp(join(tmpdir(), 'taskflow-redis-'));
  let redis: PrivateRedis = await startRedis({ dir, log, persist: true });
  const { port, url } = redis;
  const open: RedisConnections[] = [];
  onTestFinished(async () => {
    await Promise.all(open.map((connections) => connections.close()));
    await redis.stop();
    await rm(dir, { recursive: true, force: true });
  });
  return {
    url,
    connect: () => connectTo(url, '', open),
    stop: () => redis.stop(),
    async kill() {
      process.kill(redis.pid, 'SIGKILL');
      await redis.stop();
    },
    freeze: () => process.kill(redis.pid, 'SIGSTOP'),
    resume: () => process.kill(redis.pid, 'SIGCONT'),
    async restart(options = {}) {
      await redis.stop();
      if (options.empty) await rm(join(dir, 'appendonlydir'), { recursive: true, force: true });
      redis = await startRedis({ dir, log, port, persist: true });
    },
  };
}

async function connectTo(url: string, prefix: string, open: RedisConnections[]): Promise<RedisConnections> {
  const redis = createRedis({ url, prefix, log });
  open.push(redis);
  await redis.whenReady();
  return redis;
}

async function startInScratch() {
  const dir = await mkdtemp(join(tmpdir(), 'taskflow-redis-'));
  const redis = await startRedis({ dir, log });
  const stop = async () => {
    await redis.stop();
    await rm(dir, { recursive: true, force: true });
  };
  return { redis, stop };
}
