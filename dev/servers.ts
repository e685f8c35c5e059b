/** The PostgreSQL and the Redis of our own, as parts that can be killed and started again on their port. */
import { join } from 'node:path';
import type { Log } from '@taskflow/kit/log';
import { startPostgres } from './postgres.ts';
import { isAlive } from './process-table.ts';
import { startRedis } from './redis.ts';
import type { Stops } from './stops.ts';

export interface OwnServer {
  /** How the launcher reaches it: for PostgreSQL, as its administrator. */
  readonly url: string;
  /** Resolves when the process is gone. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** On the same port, over the same data; resolves when it answers. */
  restart(): Promise<void>;
}

interface Running {
  pid: number;
  stop(): Promise<void>;
}

/** A killed server has ended within milliseconds; a PostgreSQL asked politely first writes its last pages. */
const END_TIMEOUT_MS = 30_000;
const POLL_MS = 10;

export async function openPostgres(dir: string, stops: Stops, log: Log): Promise<OwnServer> {
  const first = await startPostgres({ dir: join(dir, 'postgres'), log });
  const port = Number(new URL(first.adminUrl).port);
  return own('PostgreSQL', first.adminUrl, first, stops, () =>
    startPostgres({ dir: join(dir, 'postgres'), log, port }),
  );
}

export async function openRedis(dir: string, stops: Stops, log: Log): Promise<OwnServer> {
  const first = await startRedis({ dir: join(dir, 'redis-data'), log });
  return own('Redis', first.url, first, stops, () =>
    startRedis({ dir: join(dir, 'redis-data'), log, port: first.port }),
  );
}

async function own(
  name: string,
  url: string,
  first: Running,
  stops: Stops,
  start: () => Promise<Running>,
): Promise<OwnServer> {
  let server = first;
  await stops.add(name, () => server.stop());
  return {
    url,
    async kill(signal) {
      const { pid } = server;
      if (isAlive(pid)) process.kill(pid, signal);
      const deadline = performance.now() + END_TIMEOUT_MS;
      while (isAlive(pid)) {
        if (performance.now() > deadline) throw new Error(`${name} did not end`);
        await new Promise((wake) => setTimeout(wake, POLL_MS));
      }
    },
    async restart() {
      await server.stop();
      server = await start();
    },
  };
}
