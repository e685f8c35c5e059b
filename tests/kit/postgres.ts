/**
 * PostgreSQL for tests: one server per run, a fresh database per file, cloned from a migrated template; and servers of
 * one's own for tests that break them. Everything registers itself for clean-up.
 */
import { randomBytes } from 'node:crypto';
import { closeDatabase } from '@taskflow/prisma/bootstrap';
import { roleOf, type Subgraph } from '@taskflow/prisma/databases';
import { findScratch, makeScratch, withAdmin } from '@taskflow/prisma/scratch';
import { afterAll, onTestFinished } from 'vitest';
import { findTestPostgres, startInScratch, startTestPostgres, type TestServer } from './postgres-server.ts';

export interface TestDatabase {
  name: string;
  appUrl: string;
  systemUrl: string;
  ownerUrl: string;
  /** As the server's administrator, who passes every wall: for setting scenes and looking behind them. */
  adminUrl: string;
  /** Ends its connections and removes it. Called by itself when the file is done. */
  drop(): Promise<void>;
}

// Registered while the file is read, hence before its own hooks, and so run after them: services stop first.
const cleanups: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const clean of cleanups.reverse()) await clean();
});

/** A new, migrated, empty database of one subgraph. Call it at the top of a test file, in beforeAll or in a test. */
export async function aDatabase(subgraph: Subgraph): Promise<TestDatabase> {
  const { adminUrl, templates } = await findServer();
  const copy = findScratch(adminUrl, `${templates.prefix}_${randomBytes(5).toString('hex')}`, process.env);
  const name = copy.nameOf(subgraph);
  await withAdmin(adminUrl, async (admin) => {
    const owner = roleOf(subgraph, 'owner');
    await admin.query(`create database "${name}" template "${templates.nameOf(subgraph)}" owner ${owner}`);
    await closeDatabase(admin, subgraph, name);
  });
  const drop = () =>
    withAdmin(adminUrl, async (admin) => {
      await admin.query(`drop database if exists "${name}" with (force)`);
    });
  cleanups.push(drop);
  const behind = new URL(adminUrl);
  behind.pathname = `/${name}`;
  return {
    name,
    appUrl: copy.urlOf(subgraph, 'app'),
    systemUrl: copy.urlOf(subgraph, 'system'),
    ownerUrl: copy.urlOf(subgraph, 'owner'),
    adminUrl: behind.href,
    drop,
  };
}

export interface OwnPostgres {
  /** The addresses of a subgraph's database on it, migrated. */
  urlsOf(subgraph: Subgraph): { appUrl: string; systemUrl: string; ownerUrl: string };
  adminUrl: string;
  /** SIGKILL: what was committed is kept, by recovery. */
  kill(): Promise<void>;
  /** SIGSTOP to the server and all its children: connections stay open and nobody answers, until `resume`. */
  freeze(): Promise<void>;
  resume(): void;
  /** Starts it again on the same port, over the same data; after `kill` or by itself. */
  restart(): Promise<void>;
}

/** A PostgreSQL for one test to break; stopped when the test has finished. */
export async function startOwnPostgres(): Promise<OwnPostgres> {
  let server = await startInScratch();
  const { adminUrl, port } = server;
  let frozen: number[] = [];
  const resume = () => {
    for (const pid of frozen.splice(0)) process.kill(pid, 'SIGCONT');
  };
  onTestFinished(async () => {
    resume();
    await server.stop();
  });
  const databases = await makeScratch(adminUrl, process.env);
  return {
    adminUrl,
    urlsOf: (subgraph) => ({
      appUrl: databases.urlOf(subgraph, 'app'),
      systemUrl: databases.urlOf(subgraph, 'system'),
      ownerUrl: databases.urlOf(subgraph, 'owner'),
    }),
    async kill() {
      process.kill(server.pid, 'SIGKILL');
      await server.end();
    },
    async freeze() {
      const { rows } = await withAdmin(adminUrl, (admin) =>
        admin.query<{ pid: number }>(
          'select pid from pg_catalog.pg_stat_activity where pid <> pg_catalog.pg_backend_pid()',
        ),
      );
      frozen = [server.pid, ...rows.map((row) => row.pid)];
      for (const pid of frozen) process.kill(pid, 'SIGSTOP');
    },
    resume,
    async restart() {
      resume();
      const { dir } = server;
      await server.end();
      server = await startInScratch({ dir, port });
    },
  };
}

async function findServer(): Promise<TestServer> {
  const found = findTestPostgres();
  if (found) return found;
  // Outside a run with the global set-up: a server for this file.
  const server = await startTestPostgres();
  cleanups.push(server.stop);
  return server;
}
