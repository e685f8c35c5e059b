/** The PostgreSQL servers of the tests. Without hooks of vitest: the global set-up runs outside its workers. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type OwnPostgres, startPostgres } from '@taskflow/dev/postgres';
import { createLog } from '@taskflow/kit/log';
import { dropScratch, findScratch, makeScratch, type ScratchDatabases } from '@taskflow/prisma/scratch';

/** Set by the global set-up and inherited by every worker. */
const URL_VARIABLE = 'TASKFLOW_TEST_POSTGRES_URL';
const PREFIX_VARIABLE = 'TASKFLOW_TEST_POSTGRES_PREFIX';
/** Files run side by side, each with services that hold 13 connections a subgraph, twice in tests of restarts. */
const MAX_CONNECTIONS = 400;
const log = createLog({ process: 'test', level: process.env.LOG_LEVEL ?? 'silent' });

export interface TestServer {
  adminUrl: string;
  templates: ScratchDatabases;
}

/**
 * Starts the one PostgreSQL of a run (or takes that of POSTGRES_ADMIN_URL), makes the four templates and tells the workers
 * where they are.
 */
export async function startTestPostgres(): Promise<TestServer & { stop(): Promise<void> }> {
  const given = process.env.POSTGRES_ADMIN_URL;
  const own = given ? null : await startInScratch();
  const adminUrl = given ?? own?.adminUrl ?? '';
  try {
    const templates = await makeScratch(adminUrl, process.env);
    process.env[URL_VARIABLE] = adminUrl;
    process.env[PREFIX_VARIABLE] = templates.prefix;
    const stop = async () => {
      if (!own) await dropScratch(adminUrl, templates);
      await own?.stop();
    };
    return { adminUrl, templates, stop };
  } catch (error) {
    await own?.stop();
    throw error;
  }
}

/** The server of this run; null when there was no global set-up. */
export function findTestPostgres(): TestServer | null {
  const { [URL_VARIABLE]: adminUrl, [PREFIX_VARIABLE]: prefix } = process.env;
  return adminUrl && prefix ? { adminUrl, templates: findScratch(adminUrl, prefix, process.env) } : null;
}

export interface ScratchPostgres extends OwnPostgres {
  dir: string;
  /** Stops it and keeps its data; `stop` removes them. */
  end(): Promise<void>;
}

/** A server with a directory of its own; `former` starts one again that was ended or killed. */
export async function startInScratch(former?: { dir: string; port: number }): Promise<ScratchPostgres> {
  const dir = former?.dir ?? (await mkdtemp(join(tmpdir(), 'taskflow-postgres-')));
  await chmod(dir, 0o711); // the server's own account passes through
  const port = former ? { port: former.port } : {};
  const server = await startPostgres({
    dir,
    log,
    maxConnections: MAX_CONNECTIONS,
    isDurable: false,
    ...port,
  });
  return {
    ...server,
    dir,
    end: server.stop,
    async stop() {
      await server.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
