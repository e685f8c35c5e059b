import { execFile } from 'node:child_process';
import { access, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { Log } from '@taskflow/kit/log';

/**
 * Where a Redis server to run comes from. Tried in order, first success wins:
 *
 *   1. redis-server or valkey-server on the PATH
 *   2. Debian's packages, downloaded and unpacked under .taskflow/redis (no root, nothing is installed)
 *   3. redis-memory-server, which downloads Redis and compiles it (needs a compiler)
 *
 * 2 and 3 leave the binary under .taskflow/redis, so a second start finds it at once. Two processes may do this
 * at the same time: each unpacks into a folder of its own and moves it into place.
 */
export interface RedisBinary {
  command: string;
  /** Set as LD_LIBRARY_PATH when the libraries came with the binary. */
  libraryPath?: string;
}

const run = promisify(execFile);
const PACKAGES = ['redis-server', 'redis-tools', 'libjemalloc2', 'liblzf1'];
/** Four packages of 1.4 MB together; a minute is a very slow mirror. */
const DOWNLOAD_TIMEOUT_MS = 60_000;
/** Compiling Redis took two to four minutes on two cores. */
const COMPILE_TIMEOUT_MS = 600_000;
const CACHE_DIR = resolve(import.meta.dirname, '../.taskflow/redis');

/** Rejects with one message that names every way when none works. */
export async function findRedisBinary(log: Log): Promise<RedisBinary> {
  const onPath = await searchPath(['redis-server', 'valkey-server']);
  if (onPath) return { command: onPath };
  const failures: string[] = [];
  for (const [way, attempt] of [
    ['Debian packages', () => fromDebian(log)],
    ['redis-memory-server', () => fromMemoryServer(log)],
  ] as const) {
    try {
      return await attempt();
    } catch (error) {
      failures.push(`  ${way}: ${firstLine(error)}`);
    }
  }
  throw new Error(
    [
      'TaskFlow needs Redis and could not get one. Any of these will do:',
      '  - set REDIS_URL to a Redis 7 (or Valkey) that TaskFlow may use',
      '  - install redis-server or valkey-server so that it is on the PATH',
      '  - on Debian or Ubuntu: run apt-get update, so that the packages can be downloaded',
      '  - allow redis-memory-server to download and compile Redis (make and a C compiler)',
      'What was tried:',
      '  PATH: neither redis-server nor valkey-server',
      ...failures,
    ].join('\n'),
  );
}

async function searchPath(names: string[]): Promise<string | null> {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  for (const name of names) {
    for (const folder of folders) {
      const file = join(folder, name);
      if (await exists(file)) return file;
    }
  }
  return null;
}

async function fromDebian(log: Log): Promise<RedisBinary> {
  const home = join(CACHE_DIR, `debian-${process.arch}`);
  const cached = await debianBinary(home);
  if (cached) return cached;
  if (!(await searchPath(['apt-get'])) || !(await searchPath(['dpkg-deb']))) {
    throw new Error('not a Debian or Ubuntu system');
  }
  log.info('Downloading Redis (1.4 MB) into .taskflow/redis');
  await mkdir(CACHE_DIR, { recursive: true });
  const scratch = await mkdtemp(join(CACHE_DIR, 'unpack-'));
  try {
    await download(scratch);
    const root = join(scratch, 'root');
    for (const file of await readdir(scratch)) {
      if (file.endsWith('.deb')) await run('dpkg-deb', ['-x', join(scratch, file), root]);
    }
    const unpacked = await debianBinary(root);
    if (!unpacked) throw new Error('the packages contain no redis-server');
    await run(unpacked.command, ['--version'], { env: environmentOf(unpacked) });
    // Refused when somebody else was faster: theirs is as good.
    await rename(root, home).catch(() => {});
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  const installed = await debianBinary(home);
  if (!installed) throw new Error(`nothing usable in ${home}`);
  return installed;
}

/** Downloads into `folder`; with package lists of its own when the system has none, or stale ones. */
async function download(folder: string): Promise<void> {
  const get = (options: string[]) =>
    run('apt-get', [...options, 'download', ...PACKAGES], { cwd: folder, timeout: DOWNLOAD_TIMEOUT_MS });
  try {
    await get([]);
  } catch {
    const state = join(folder, 'apt');
    await mkdir(join(state, 'lists/partial'), { recursive: true });
    await mkdir(join(state, 'cache/archives/partial'), { recursive: true });
    // Private lists need no root and leave the system's own untouched.
    const own = [`-oDir::State::lists=${state}/lists`, `-oDir::Cache=${state}/cache`];
    await run('apt-get', [...own, 'update'], { timeout: DOWNLOAD_TIMEOUT_MS });
    await get(own);
  }
}

async function debianBinary(root: string): Promise<RedisBinary | null> {
  const command = join(root, 'usr/bin/redis-server');
  if (!(await exists(command))) return null;
  const libraries = join(root, 'usr/lib');
  const folders = await readdir(libraries).catch(() => []);
  const multiarch = folders.find((folder) => folder.includes('-linux-gnu'));
  return { command, libraryPath: join(libraries, multiarch ?? '') };
}

async function fromMemoryServer(log: Log): Promise<RedisBinary> {
  const downloadDir = join(CACHE_DIR, `compiled-${process.arch}`);
  log.info('Downloading and compiling Redis into .taskflow/redis; this takes a few minutes, once');
  const { default: compiler } = await import('redis-memory-server/lib/util/RedisBinary.js');
  const version = 'stable';
  const deadline = AbortSignal.timeout(COMPILE_TIMEOUT_MS);
  const expired = new Promise<never>((_, reject) => {
    deadline.addEventListener('abort', () => reject(new Error('timed out')));
  });
  const built = compiler.default.getDownloadPath({ version, downloadDir, ignoreDownloadCache: false });
  return { command: await Promise.race([built, expired]) };
}

/** The environment to run the binary with. */
export function environmentOf(binary: RedisBinary): NodeJS.ProcessEnv {
  return binary.libraryPath ? { ...process.env, LD_LIBRARY_PATH: binary.libraryPath } : process.env;
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n', 1)[0] ?? '';
}
