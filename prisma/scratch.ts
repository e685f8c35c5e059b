/**
 * Four migrated databases for a check or a test run, under a name of their own, dropped afterwards.
 *
 * Roles belong to the whole server. On a server that already serves TaskFlow they keep working only if the addresses of
 * the environment hold their passwords: what is given there, or else the development default, becomes the password.
 */
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { bootstrap, passwordsOf } from './bootstrap.ts';
import { readAddresses } from './config.ts';
import { type Role, roleOf, type Subgraph, subgraphs, urlOf } from './databases.ts';
import { migrate } from './migrate.ts';

export interface ScratchDatabases {
  /** Starts the names of its databases. */
  prefix: string;
  nameOf(subgraph: Subgraph): string;
  urlOf(subgraph: Subgraph, role: Role): string;
}

/** Bootstraps and migrates all four. */
export async function makeScratch(adminUrl: string, env: NodeJS.ProcessEnv): Promise<ScratchDatabases> {
  const scratch = findScratch(adminUrl, `taskflow_scratch_${randomBytes(4).toString('hex')}`, env);
  const passwords = passwordsOf(readAddresses(env));
  await bootstrap({ adminUrl, passwords, databaseOf: scratch.nameOf });
  await Promise.all(
    subgraphs.map((subgraph) => migrate({ subgraph, url: scratch.urlOf(subgraph, 'owner') })),
  );
  return scratch;
}

/** Those that another process made. */
export function findScratch(adminUrl: string, prefix: string, env: NodeJS.ProcessEnv): ScratchDatabases {
  const passwords = passwordsOf(readAddresses(env));
  const nameOf = (subgraph: Subgraph) => `${prefix}_${subgraph}`;
  return {
    prefix,
    nameOf,
    urlOf: (subgraph, role) =>
      urlOf(adminUrl, {
        subgraph,
        role,
        password: passwords[roleOf(subgraph, role)] ?? '',
        database: nameOf(subgraph),
      }),
  };
}

/** Drops everything under the prefix, copies that nobody dropped included. */
export async function dropScratch(adminUrl: string, { prefix }: ScratchDatabases): Promise<void> {
  await withAdmin(adminUrl, async (admin) => {
    const { rows } = await admin.query<{ name: string }>(
      "select datname as name from pg_catalog.pg_database where starts_with(datname, $1 || '_')",
      [prefix],
    );
    for (const { name } of rows) await admin.query(`drop database if exists "${name}" with (force)`);
  });
}

/** Runs `work` on a connection of the administrator. */
export async function withAdmin<T>(adminUrl: string, work: (admin: pg.Client) => Promise<T>): Promise<T> {
  const admin = new pg.Client({ connectionString: adminUrl, connectionTimeoutMillis: 10_000 });
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.end();
  }
}
