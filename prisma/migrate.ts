/**
 * Applies migrations: Prisma Migrate's engine, table and checksums, without its downloads. `prisma migrate` on a machine
 * that has the engine continues where this stopped, and the other way round.
 *
 * Idempotent, and safe to run from several places at once. A migration is applied whole or not at all.
 *
 *   node prisma/migrate.ts [user|org|task|notification …]        applies what is missing
 *   node prisma/migrate.ts task --rolled-back 0002_task           after a failure that was put right by hand
 *
 * With POSTGRES_ADMIN_URL it bootstraps first.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MigrationList } from '@prisma/schema-engine-wasm';
import pg from 'pg';
import { bootstrap, passwordsOf } from './bootstrap.ts';
import { runCommand } from './command.ts';
import { readPrismaConfig } from './config.ts';
import { roleOf, type Subgraph, subgraphs, variableOf } from './databases.ts';
import { everything, withSchemaEngine } from './schema-engine.ts';

/** The history of a database and the folder do not fit together, or a script failed. `message` says what to do. */
export class MigrationError extends Error {
  override readonly name = 'MigrationError';
}

export interface MigrateOptions {
  subgraph: Subgraph;
  /** As the _owner role. */
  url: string;
  /** Another folder than `prisma/<subgraph>`: for tests. */
  folder?: string;
}

/** Applies what is missing, in order; resolves to the names of what it applied. Throws MigrationError. */
export async function migrate({ subgraph, url, folder }: MigrateOptions): Promise<string[]> {
  const home = folder ?? folderOf(subgraph);
  const migrationsList = readMigrations(home);
  return alone(subgraph, url, () =>
    withSchemaEngine(url, readSchema(home), async (engine, explain) => {
      const diagnose = () =>
        engine.diagnoseMigrationHistory({
          migrationsList,
          optInToShadowDatabase: false,
          filters: everything,
        });
      refuseBroken(subgraph, await diagnose());
      try {
        const { appliedMigrationNames } = await engine.applyMigrations({
          migrationsList,
          filters: everything,
        });
        return appliedMigrationNames;
      } catch (error) {
        const failed = (await diagnose().catch(() => null))?.failedMigrationNames[0];
        throw new MigrationError(
          `${subgraph}: ${failed ?? 'migrating'} failed: ${explain() ?? (error as Error).message}${failed ? remedy(subgraph, failed) : ''}`,
          { cause: error },
        );
      }
    }),
  );
}

/** Says of a failed migration that its traces are gone, so that it is applied again. */
export async function markRolledBack(options: MigrateOptions & { migration: string }): Promise<void> {
  const { subgraph, url, migration, folder } = options;
  await alone(subgraph, url, () =>
    withSchemaEngine(url, readSchema(folder ?? folderOf(subgraph)), (engine) =>
      engine.markMigrationRolledBack({ migrationName: migration }),
    ),
  );
}

export function folderOf(subgraph: Subgraph): string {
  return join(import.meta.dirname, subgraph);
}

export function readSchema(folder: string): string {
  return readFileSync(join(folder, 'schema.prisma'), 'utf8');
}

export function readMigrations(folder: string): MigrationList {
  const baseDir = join(folder, 'migrations');
  const names = readdirSync(baseDir, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
  return {
    baseDir,
    lockfile: {
      path: 'migration_lock.toml',
      content: readFileSync(join(baseDir, 'migration_lock.toml'), 'utf8'),
    },
    shadowDbInitScript: '',
    migrationDirectories: names.map((name) => ({
      path: name,
      migrationFile: {
        path: 'migration.sql',
        content: { tag: 'ok', value: readFileSync(join(baseDir, name, 'migration.sql'), 'utf8') },
      },
    })),
  };
}

/** Holds the database's lock for migrations; refuses any role but the owner, whose property new tables become. */
async function alone<T>(subgraph: Subgraph, url: string, work: () => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  await client.connect();
  client.on('error', () => {}); // the statements report it
  try {
    const { rows } = await client.query<{ role: string }>('select current_user::text as role');
    const owner = roleOf(subgraph, 'owner');
    if (rows[0]?.role !== owner) {
      throw new MigrationError(
        `${variableOf(subgraph, 'owner')} logs in as ${rows[0]?.role}: only ${owner} migrates`,
      );
    }
    await client.query("select pg_advisory_lock(hashtext('taskflow migrate'))");
    return await work();
  } finally {
    await client.end();
  }
}

interface History {
  editedMigrationNames: string[];
  failedMigrationNames: string[];
  history: { diagnostic: string; unpersistedMigrationNames?: string[] } | null;
}

function refuseBroken(
  subgraph: Subgraph,
  { editedMigrationNames, failedMigrationNames, history }: History,
): void {
  const problems = [
    ...failedMigrationNames.map((name) => `${name} failed before${remedy(subgraph, name)}`),
    ...editedMigrationNames
      .filter((name) => !failedMigrationNames.includes(name))
      .map(
        (name) =>
          `${name} was edited after it had been applied. Put it back as it was; a change is a new migration`,
      ),
    ...(history?.unpersistedMigrationNames ?? []).map(
      (name) => `${name} was applied and is not in the folder: this release is older than the database`,
    ),
  ];
  if (problems.length > 0)
    throw new MigrationError(problems.map((problem) => `${subgraph}: ${problem}`).join('\n'));
}

function remedy(subgraph: Subgraph, name: string): string {
  return `. Nothing of it was kept; when it is corrected: node prisma/migrate.ts ${subgraph} --rolled-back ${name}`;
}

async function main(): Promise<string> {
  const config = readPrismaConfig(process.env);
  const marked = process.argv.indexOf('--rolled-back');
  const migration = marked < 0 ? undefined : process.argv[marked + 1];
  const named = process.argv.slice(2, marked < 0 ? undefined : marked);
  const wanted = subgraphs.filter((subgraph) => named.length === 0 || named.includes(subgraph));
  const isMeant = named.length === 0 || wanted.length === named.length;
  if (!isMeant || (marked >= 0 && (!migration || wanted.length !== 1))) {
    throw new Error(`usage: node prisma/migrate.ts [${subgraphs.join('|')} …] [--rolled-back <migration>]`);
  }
  if (config.POSTGRES_ADMIN_URL) {
    await bootstrap({ adminUrl: config.POSTGRES_ADMIN_URL, passwords: passwordsOf(config) });
  }
  const lines: string[] = [];
  for (const subgraph of wanted) {
    const url = config[variableOf(subgraph, 'owner')] ?? '';
    if (migration) await markRolledBack({ subgraph, url, migration });
    const applied = await migrate({ subgraph, url });
    lines.push(`${subgraph}: ${applied.length > 0 ? `applied ${applied.join(', ')}` : 'up to date'}`);
  }
  return lines.join('\n');
}

if (import.meta.main) await runCommand('migrate', main);
