/**
 * `node prisma/check.ts`: each schema.prisma says what its migrations make, and history is kept as `prisma migrate` keeps it.
 *
 * Runs on databases of its own: on the server of POSTGRES_ADMIN_URL, or else on one that it starts and removes. What Prisma has no words
 * for (row security, CHECKs, collations, functions, grants) is not compared here; tests read it from the catalogue.
 */
import { createHash } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres } from '@taskflow/dev/postgres';
import { createLog } from '@taskflow/kit/log';
import pg from 'pg';
import { runCommand } from './command.ts';
import { readPrismaConfig } from './config.ts';
import { type Subgraph, subgraphs } from './databases.ts';
import { folderOf, migrate, readMigrations, readSchema } from './migrate.ts';
import { everything, withSchemaEngine } from './schema-engine.ts';
import { dropScratch, makeScratch } from './scratch.ts';

/** Every difference between a migrated database and its folder, one sentence each. */
export async function findDrift(
  subgraph: Subgraph,
  url: string,
  folder = folderOf(subgraph),
): Promise<string[]> {
  const content = readSchema(folder);
  const files = [{ path: 'schema.prisma', content }];
  const { exitCode, stdout } = await withSchemaEngine(url, content, (engine) =>
    engine.diff({
      from: { tag: 'schemaDatasource', files, configDir: folder },
      to: { tag: 'schemaDatamodel', files },
      script: true,
      exitCode: true,
      filters: everything,
    }),
  );
  const drift =
    exitCode === 0 ? [] : [`schema.prisma asks for more or less than the migrations make:\n${stdout}`];
  return [...drift, ...(await findWrongHistory(url, folder))];
}

async function findWrongHistory(url: string, folder: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client
    .query<{ name: string; checksum: string }>(
      'select migration_name as name, checksum from _prisma_migrations',
    )
    .finally(() => client.end());
  const kept = new Map(rows.map((row) => [row.name, row.checksum]));
  return readMigrations(folder).migrationDirectories.flatMap(({ path, migrationFile: { content } }) => {
    // What `prisma migrate` writes: SHA-256 of the file, in hex.
    const checksum = content.tag === 'ok' ? createHash('sha256').update(content.value).digest('hex') : '';
    return kept.get(path) === checksum
      ? []
      : [`the checksum of ${path} in _prisma_migrations is not that of the file`];
  });
}

async function check(): Promise<string> {
  const server = await openServer();
  try {
    const scratch = await makeScratch(server.adminUrl, process.env);
    const problems: string[] = [];
    for (const subgraph of subgraphs) {
      const url = scratch.urlOf(subgraph, 'owner');
      const again = await migrate({ subgraph, url });
      if (again.length > 0) problems.push(`${subgraph}: ${again.join(', ')} would be applied twice`);
      problems.push(...(await findDrift(subgraph, url)).map((problem) => `${subgraph}: ${problem}`));
    }
    await dropScratch(server.adminUrl, scratch);
    if (problems.length > 0) throw new Error(problems.join('\n'));
    return 'prisma: the four schemas are what the migrations make';
  } finally {
    await server.stop();
  }
}

async function openServer(): Promise<{ adminUrl: string; stop(): Promise<void> }> {
  const { POSTGRES_ADMIN_URL: given } = readPrismaConfig({ ...process.env, TASKFLOW_MODE: 'development' });
  if (given) return { adminUrl: given, stop: async () => {} };
  const dir = await mkdtemp(join(tmpdir(), 'taskflow-check-'));
  await chmod(dir, 0o711); // the server's own account passes through
  const server = await startPostgres({
    dir,
    log: createLog({ process: 'check', level: 'warn' }),
    isDurable: false,
  });
  return {
    adminUrl: server.adminUrl,
    async stop() {
      await server.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

if (import.meta.main) await runCommand('prisma/check', check);
