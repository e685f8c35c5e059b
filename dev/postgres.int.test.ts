import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { chmod, cp, mkdtemp, readdir, readlink, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createLog } from '@taskflow/kit/log';
import { until } from '@taskflow/tests/kit/until';
import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startPostgres } from './postgres.ts';
import { findPostgresBinaries, makeLinks } from './postgres-binaries.ts';

const log = createLog({ process: 'test', level: 'silent' });

async function aFolder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'taskflow-postgres-'));
  await chmod(dir, 0o711);
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

async function start(dir: string, port?: number) {
  const server = await startPostgres({ dir, log, isDurable: false, ...(port === undefined ? {} : { port }) });
  onTestFinished(() => server.stop());
  return server;
}

async function ask(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {}); // some tests kill the server under it; the query says so
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('PostgreSQL of our own', () => {
  it('keeps its data from one start to the next', async () => {
    const dir = await aFolder();
    const first = await start(dir);
    await ask(first.adminUrl, 'create table kept as select 1 as one');
    await first.stop();
    expect(isAlive(first.pid)).toBe(false);
    const second = await start(dir);
    expect(await ask(second.adminUrl, 'select one from kept')).toEqual([{ one: 1 }]);
  });

  it('speaks UTF-8, orders by bytes, lives in UTC and lets nobody in without the password', async () => {
    const { adminUrl } = await start(await aFolder());
    expect(
      await ask(
        adminUrl,
        `select current_setting('server_encoding') as encoding, current_setting('timezone') as timezone,
           (select datcollate from pg_database where datname = current_database()) as collate`,
      ),
    ).toEqual([{ encoding: 'UTF8', timezone: 'UTC', collate: 'C' }]);
    const url = new URL(adminUrl);
    url.password = 'wrong';
    await expect(ask(url.href, 'select 1')).rejects.toMatchObject({ code: '28P01' });
  });

  it('on a folder that another one serves gives one clear message', async () => {
    const dir = await aFolder();
    const { pid, port } = await start(dir);
    await expect(start(dir)).rejects.toThrow(
      `PostgreSQL already runs on ${join(dir, 'data')} (process ${pid}, port ${port})`,
    );
  });

  it('on a port that is taken gives one clear message', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void holder.close());
    await once(holder, 'listening');
    const { port } = holder.address() as { port: number };
    await expect(start(await aFolder(), port)).rejects.toThrow(
      `PostgreSQL cannot have port ${port} on 127.0.0.1: it is taken by another process`,
    );
  });

  it('starts again on its port after it was killed, with everything that was committed', async () => {
    const dir = await aFolder();
    const first = await start(dir);
    await ask(first.adminUrl, 'create table kept as select 1 as one');
    // A connection that is busy: its process outlives the server for a moment.
    const busy = ask(first.adminUrl, 'select pg_sleep(60)').catch((error: Error) => error.message);
    await until('the connection to be busy', async () => {
      const running =
        "select from pg_stat_activity where query like '%pg_sleep%' and pid <> pg_backend_pid()";
      return (await ask(first.adminUrl, running)).length > 0;
    });
    process.kill(first.pid, 'SIGKILL');
    const second = await start(dir, first.port);
    expect(await ask(second.adminUrl, 'select one from kept')).toEqual([{ one: 1 }]);
    expect(await busy).toMatch(/terminat|reset/i);
  });

  it('starts over the lock of a server that is gone, though another process has its number now', async () => {
    const dir = await aFolder();
    await (await start(dir)).stop();
    writeFileSync(join(dir, 'data/postmaster.pid'), `${process.pid}\n${join(dir, 'data')}\n1\n5432\n\n\n\n`);
    await start(dir);
  });

  it('makes the cluster again when a first start was cut off in the middle', async () => {
    const dir = await aFolder();
    await cp(import.meta.dirname, join(dir, 'data.new'), { recursive: true });
    await start(dir);
    expect(existsSync(join(dir, 'data.new'))).toBe(false);
  });

  it('ends when its launcher is killed', async () => {
    const dir = await aFolder();
    const launcher = launch(dir);
    onTestFinished(() => void launcher.kill('SIGKILL'));
    const pid = Number(await firstLine(launcher));
    expect(isAlive(pid)).toBe(true);
    launcher.kill('SIGKILL');
    await until('PostgreSQL ends', () => !isAlive(pid));
    expect(readFileSync(join(dir, 'postgres.log'), 'utf8')).toContain('database system is shut down');
  });

  it('does not hear the Ctrl-C of the terminal, which is for the launcher', async () => {
    const dir = await aFolder();
    const launcher = launch(dir);
    onTestFinished(() => void launcher.kill('SIGKILL'));
    const pid = Number(await firstLine(launcher));
    // As the terminal does: to the whole group of the launcher, which ignores it.
    process.kill(-(launcher.pid ?? 0), 'SIGINT');
    expect(await firstLine(launcher)).toBe('interrupted');
    expect(isAlive(pid)).toBe(true);
  });
});

describe('the binaries', () => {
  it('get the links that an install without scripts leaves out', async () => {
    const { postgres } = await findPostgresBinaries();
    const installed = join(dirname(postgres), '..');
    const links = async (folder: string) => {
      const entries = await readdir(join(folder, 'lib'), { withFileTypes: true });
      const found = entries.filter((entry) => entry.isSymbolicLink()).map(({ name }) => name);
      return Promise.all(found.sort().map(async (name) => [name, await readlink(join(folder, 'lib', name))]));
    };
    const home = await aFolder();
    await cp(installed, join(home, 'native'), {
      recursive: true,
      filter: (path) => !/\/(bin|share|pgxs)$/.test(path),
    });
    for (const [name] of await links(join(home, 'native'))) await rm(join(home, 'native/lib', name ?? ''));
    makeLinks(home);
    makeLinks(home);
    expect(await links(join(home, 'native'))).toEqual(await links(installed));
  });
});

/** Another process that starts PostgreSQL, in a group of its own, as from a terminal. */
function launch(dir: string): ChildProcess {
  const script = `
    import { startPostgres } from ${JSON.stringify(join(import.meta.dirname, 'postgres.ts'))};
    process.on('SIGINT', () => console.log('interrupted'));
    const log = { debug() {} };
    const { pid } = await startPostgres({ dir: ${JSON.stringify(dir)}, log, isDurable: false });
    console.log(pid);
    setInterval(() => {}, 60_000);`;
  return spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (!child.stdout) throw new Error('no output');
  const [chunk] = await once(child.stdout, 'data');
  return String(chunk).trim();
}
