/**
 * A PostgreSQL of our own: on 127.0.0.1, on a free port, over its own directory, from the binaries that npm installed.
 *
 *   dir/data             the cluster; made once, complete or not at all
 *   dir/admin-password   the administrator's, random
 *   dir/postgres.log     of the last start
 *
 *   this process ──▶ postgres      a group of its own: Ctrl-C in the terminal does not reach it before stop() does
 *        └─ stdin ─▶ watchdog      ends when this process ends, however that happens, and then stops postgres
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Log } from '@taskflow/kit/log';
import pg from 'pg';
import { freePorts } from './ports.ts';
import { type Account, findAccount, give, spawnAs } from './postgres-account.ts';
import { findPostgresBinaries, type PostgresBinaries } from './postgres-binaries.ts';
import { findServerOn, removeStaleLock } from './postgres-lock.ts';

export interface OwnPostgres {
  /** As the administrator (a superuser), to the database `postgres`. */
  adminUrl: string;
  port: number;
  /** The server process itself, for tests that kill it. */
  pid: number;
  /** Disconnects everybody, writes what is in memory, and resolves when the process is gone. Safe to call twice. */
  stop(): Promise<void>;
}

export interface PostgresOptions {
  /** Made when missing; belongs to this server alone. */
  dir: string;
  log: Log;
  /** A given port that is taken is an error; without one a free port is found. */
  port?: number;
  maxConnections?: number;
  /** Without it a power cut may lose data; a killed process loses nothing either way. For tests. */
  isDurable?: boolean;
}

/** Four services with 10 + 3 connections each, twice during a rolling restart. */
const MAX_CONNECTIONS = 120;
/** Starting takes 0.2 s; recovery after a crash reads the log first. */
const START_TIMEOUT_MS = 60_000;
/** Ordered stop writes dirty pages; after this the data is left to recovery at the next start. */
const STOP_TIMEOUT_MS = 15_000;
const POLL_MS = 20;
const DYING_MS = 1_000;
/** A free port can be taken between finding it and using it; a killed server's last children take a moment to end. */
const ATTEMPTS = 5;

/** Starts the server, with a new cluster when `dir` has none. Rejects with one clear message. */
export async function startPostgres(options: PostgresOptions): Promise<OwnPostgres> {
  const dir = resolve(options.dir);
  const binaries = await findPostgresBinaries();
  await mkdir(dir, { recursive: true });
  const account = await findAccount(dir, binaries);
  const data = join(dir, 'data');
  const other = await findLastingServerOn(data);
  await removeStaleLock(data);
  if (other) {
    throw new Error(
      `PostgreSQL already runs on ${data} (process ${other.pid}, port ${other.port}): stop what started it, ` +
        'or that process, and try again',
    );
  }
  const password = keepPassword(dir, account);
  if (!existsSync(data)) await makeCluster(dir, binaries, account);
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePorts(1))[0] ?? 0;
    try {
      return await startOn(port, { ...options, dir }, binaries, account, password);
    } catch (error) {
      if (!(error instanceof TryAgain) || attempt === ATTEMPTS) throw error;
      options.log.debug({ attempt, reason: error.message }, 'PostgreSQL did not start; trying again');
    }
  }
}

/** A killed server is there for a moment longer on a busy machine: only one that stays is somebody else's. */
async function findLastingServerOn(data: string) {
  const deadline = performance.now() + DYING_MS;
  let other = findServerOn(data);
  while (other && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    other = findServerOn(data);
  }
  return other;
}

/** The administrator's address of the server that serves `dir` now, or null. */
export function findPostgresIn(dir: string): string | null {
  const server = findServerOn(join(resolve(dir), 'data'));
  if (!server) return null;
  const password = readFileSync(join(dir, 'admin-password'), 'utf8').trim();
  return `postgresql://postgres:${password}@127.0.0.1:${server.port}/postgres`;
}

/** The start may succeed another time. */
class TryAgain extends Error {}

function keepPassword(dir: string, account: Account | null): string {
  const file = join(dir, 'admin-password');
  if (!existsSync(file)) {
    writeFileSync(file, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600 });
    give(file, account); // initdb reads it
  }
  return readFileSync(file, 'utf8').trim();
}

/** Made beside and renamed: a start that was killed leaves no half of a cluster. */
async function makeCluster(dir: string, binaries: PostgresBinaries, account: Account | null): Promise<void> {
  const half = join(dir, 'data.new');
  await rm(half, { recursive: true, force: true });
  await mkdir(half, { mode: 0o700 });
  give(half, account);
  const child = spawnAs(
    account,
    binaries.initdb,
    [
      `--pgdata=${half}`,
      '--username=postgres',
      `--pwfile=${join(dir, 'admin-password')}`,
      '--auth=scram-sha-256',
      // The same order of bytes on every machine; columns that people read name an ICU collation of their own.
      '--encoding=UTF8',
      '--locale=C',
      // The data is safe by the rename below, and the server writes it again soon enough.
      '--no-sync',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'], env: environment() },
  );
  let complaint = '';
  child.stderr?.on('data', (chunk) => {
    complaint += chunk;
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`no PostgreSQL cluster could be made in ${dir}: ${complaint.trim()}`);
  await rename(half, join(dir, 'data'));
}

async function startOn(
  port: number,
  options: PostgresOptions,
  binaries: PostgresBinaries,
  account: Account | null,
  password: string,
): Promise<OwnPostgres> {
  const logFile = join(options.dir, 'postgres.log');
  const output = openSync(logFile, 'w', 0o600);
  const settings = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: options.maxConnections ?? MAX_CONNECTIONS,
    timezone: 'UTC',
    log_timezone: 'UTC',
    fsync: options.isDurable === false ? 'off' : 'on',
  };
  const server = spawnAs(
    account,
    binaries.postgres,
    [
      '-D',
      join(options.dir, 'data'),
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    { stdio: ['ignore', output, output], env: environment(), detached: true },
  );
  closeSync(output);
  const stop = () => stopServer(server);
  try {
    await once(server, 'spawn');
    watch(server);
    const adminUrl = `postgresql://postgres:${password}@127.0.0.1:${port}/postgres`;
    const ended = once(server, 'exit').then(() => Promise.reject(new Error('the process ended')));
    ended.catch(() => {}); // it ends one day
    await Promise.race([untilAnswering(server, adminUrl), ended]);
    server.unref();
    return { adminUrl, port, pid: server.pid ?? 0, stop };
  } catch (error) {
    await stop();
    throw await explain(error, readFileSync(logFile, 'utf8'), port, options);
  }
}

/** Stops the server when this process is gone. Ends with the server, so that it never meets another's process id. */
function watch(server: ChildProcess): void {
  const watchdog = spawn('sh', ['-c', 'read -r _; kill -INT "$1"', 'sh', `${server.pid}`], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  watchdog.on('error', () => {}); // no shell, no watchdog
  watchdog.stdin.on('error', () => {});
  server.once('exit', () => watchdog.kill('SIGKILL'));
  watchdog.unref();
  (watchdog.stdin as unknown as { unref(): void }).unref();
}

async function untilAnswering(server: ChildProcess, adminUrl: string): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    if (hasEnded(server)) throw new Error('the process ended');
    const client = new pg.Client({ connectionString: adminUrl, connectionTimeoutMillis: 5_000 });
    client.on('error', () => {});
    try {
      await client.connect();
      // The answer must come from the server that was started: another one may have this port.
      const { rows } = await client.query<{ dir: string }>("select current_setting('data_directory') as dir");
      if (!server.spawnargs.includes(rows[0]?.dir ?? '')) throw new Error('another server has this port');
      return;
    } catch (error) {
      // 57P03: still starting up or recovering.
      const { code } = error as { code?: string };
      if (code !== 'ECONNREFUSED' && code !== '57P03' && code !== 'ECONNRESET') throw error;
      if (performance.now() > deadline) throw new Error('no answer in time', { cause: error });
    } finally {
      await client.end().catch(() => {});
    }
    await new Promise((wake) => setTimeout(wake, POLL_MS));
  }
}

async function explain(error: unknown, log: string, port: number, options: PostgresOptions): Promise<Error> {
  const isPortTaken = /Address already in use|could not bind/.test(log);
  if (isPortTaken && options.port !== undefined) {
    return new Error(`PostgreSQL cannot have port ${port} on 127.0.0.1: it is taken by another process`);
  }
  if (isPortTaken) return new TryAgain('the port was taken');
  // The children of a server that was killed hold its memory until they notice.
  if (/pre-existing shared memory block/.test(log)) {
    await new Promise((wake) => setTimeout(wake, 500));
    return new TryAgain('the children of the former server were still ending');
  }
  if (/incompatible with server|not compatible with this version/.test(log)) {
    return new Error(
      `the data in ${options.dir} was written by another version of PostgreSQL: move that folder away to start afresh`,
    );
  }
  const lines = log.trim().split('\n').slice(-5).join('\n');
  return new Error(`PostgreSQL did not start on port ${port}:\n${lines}`, { cause: error });
}

/** SIGINT is PostgreSQL's fast shutdown: connections are closed, data is written. SIGQUIT leaves it to recovery. */
async function stopServer(server: ChildProcess): Promise<void> {
  if (server.pid === undefined || hasEnded(server)) return;
  server.ref();
  const ended = once(server, 'exit');
  server.kill('SIGINT');
  const impatience = setTimeout(() => server.kill('SIGQUIT'), STOP_TIMEOUT_MS);
  const despair = setTimeout(() => server.kill('SIGKILL'), STOP_TIMEOUT_MS * 1.5);
  await ended;
  clearTimeout(impatience);
  clearTimeout(despair);
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** Messages are read above, so they are in English; the rest of the environment is no business of a database. */
function environment(): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' };
}
