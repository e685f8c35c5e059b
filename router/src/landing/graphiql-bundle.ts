/**
 * The GraphiQL of the landing page, bundled on this machine from the packages that are installed, so that no
 * request leaves it. Built once, when somebody first opens the page, and kept under .taskflow/ by the versions
 * of what went in. (measured: 3 s, 7 MB)
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Log } from '@taskflow/kit/log';

export interface GraphiqlBundle {
  /** Starts the build if there is none yet; never rejects. */
  prepare(): void;
  /** A file of the bundle, built first if need be; null when there is no such file, or no bundle. */
  read(name: string): Promise<Buffer | null>;
}

/** Ten times what a slow laptop takes. */
const BUILD_TIMEOUT_MS = 120_000;
/** What decides about the content of the bundle, besides our own entry. */
const INGREDIENTS = [
  'graphiql',
  '@graphiql/react',
  '@graphiql/toolkit',
  'graphql-ws',
  'react',
  'react-dom',
  'vite',
];
const SCRIPT = fileURLToPath(new URL('build-graphiql.mjs', import.meta.url));
/** The hand-written part of what is bundled. */
const PARTS = ['page/graphiql.mjs', 'page/explain.mjs'].map((name) => new URL(name, import.meta.url));

/** `directory`: where bundles are kept; created when it is needed. */
export function createGraphiqlBundle({ directory, log }: { directory: string; log: Log }): GraphiqlBundle {
  let built: Promise<string | null> | null = null;

  function bundle(): Promise<string | null> {
    built ??= ensureBuilt(directory, log).catch((error) => {
      log.warn({ err: error }, 'GraphiQL could not be built; is everything installed?');
      return null;
    });
    return built;
  }

  return {
    prepare: () => void bundle(),
    async read(name) {
      const place = await bundle();
      if (!place || basename(name) !== name) return null;
      return readFile(join(place, name)).catch(() => null);
    },
  };
}

async function ensureBuilt(directory: string, log: Log): Promise<string> {
  const place = join(directory, `graphiql-${await fingerprint()}`);
  if (existsSync(place)) return place;
  await mkdir(directory, { recursive: true });
  const startedAt = performance.now();
  // Two routers may start at once: each builds beside, the first to finish is taken.
  const draft = `${place}.${process.pid}`;
  await run(draft);
  await rename(draft, place).catch(async (error) => {
    await rm(draft, { recursive: true, force: true });
    if (!existsSync(place)) throw error;
  });
  log.info(
    { durationMs: Math.round(performance.now() - startedAt) },
    'GraphiQL was bundled for the landing page',
  );
  return place;
}

async function fingerprint(): Promise<string> {
  const hash = createHash('sha256');
  const { resolve } = createRequire(import.meta.url);
  for (const name of INGREDIENTS) hash.update(await readFile(packageFileOf(name, resolve)));
  for (const part of [...PARTS, SCRIPT]) hash.update(await readFile(part));
  return hash.digest('hex').slice(0, 12);
}

/** The package.json of an installed package, also of one that does not export it. */
function packageFileOf(name: string, resolve: NodeJS.RequireResolve): string {
  for (const folder of resolve.paths(name) ?? []) {
    const file = join(folder, name, 'package.json');
    if (existsSync(file)) return file;
  }
  throw new Error(`the package ${name} is not installed`);
}

function run(outDirectory: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [SCRIPT, outDirectory], {
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: BUILD_TIMEOUT_MS,
    });
    let told = '';
    child.stderr.on('data', (chunk) => {
      told = (told + chunk).slice(-2_000);
    });
    child.once('error', reject);
    child.once('close', (code) =>
      code === 0 ? resolve() : reject(new Error(`the bundler ended with ${code}: ${told}`)),
    );
  });
}
