import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Log } from '@taskflow/kit/log';
import { environmentOf, findRedisBinary, type RedisBinary } from './redis-binary.ts';

/**
 * A Redis of our own: on 127.0.0.1, on a free port, with its own directory. A Redis that already runs on the
 * machine is never used; after the start the answering process is compared with the one that was started.
 *
 *   this process ──stdin──▶ sh ──▶ redis-server
 *
 * The shell waits for the end of its stdin and then stops Redis. So Redis ends with this process however that
 * ends, SIGKILL included, and Ctrl-C in the terminal (which the shell's own session does not see) does not take
 * Redis away while the services are still draining.
 */
export interface PrivateRedis {
  url: string;
  port: number;
  /** The Redis process itself, for tests that kill it. */
  pid: number;
  /** Saves when persistent, and resolves when the process is gone. Safe to call twice. */
  stop(): Promise<void>;
}

const WATCHDOG = '"$@" </dev/null >/dev/null 2>&1 & echo $!; read -r _; kill $! 2>/dev/null; wait $!';
/** Starting takes 20 ms; a long append-only file may take seconds to load. */
const START_TIMEOUT_MS = 15_000;
/** A Redis that was suspended never hears the friendly signal. */
const STOP_TIMEOUT_MS = 3_000;
/** A free port can be taken between finding it and using it. */
const PORT_ATTEMPTS = 5;

/**
 * `dir` is created and belongs to this Redis alone. With `persist` every write is kept (append-only file);
 * without it nothing is written to disk. A given `port` that is taken is an error.
 */
export async function startRedis(options: {
  dir: string;
  log: Log;
  port?: number;
  persist?: boolean;
}): Promise<PrivateRedis> {
  const dir = resolve(options.dir);
  await mkdir(dir, { recursive: true });
  const binary = await findRedisBinary(options.log);
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    try {
      return await startOn(port, binary, dir, options.persist ?? false);
    } catch (error) {
      if (options.port !== undefined || attempt === PORT_ATTEMPTS) throw error;
    }
  }
}

/** Who serves a directory, for those who did not start it. */
const RUNNING_FILE = 'running.json';

/** The address of the Redis that serves `dir` now, or null. */
export async function findRedisIn(dir: string): Promise<string | null> {
  try {
    const { pid, port } = JSON.parse(readFileSync(join(dir, RUNNING_FILE), 'utf8'));
    // The file outlives its Redis: whoever answers must be the process it names.
    const answering = /process_id:(\d+)/.exec(await askInfo(port))?.[1];
    return answering === `${pid}` ? `redis://127.0.0.1:${port}` : null;
  } catch {
    return null;
  }
}

async function startOn(
  port: number,
  binary: RedisBinary,
  dir: string,
  persist: boolean,
): Promise<PrivateRedis> {
  const durability = persist ? ['--appendonly', 'yes', '--appendfsync', 'everysec'] : ['--appendonly', 'no'];
  const settings = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', dir, '--save', '', ...durability];
  const shell = spawn('sh', ['-c', WATCHDOG, 'sh', binary.command, ...settings], {
    env: environmentOf(binary),
    stdio: ['pipe', 'pipe', 'ignore'],
    detached: true,
  });
  let pid = 0;
  const stop = () => stopShell(shell, pid);
  try {
    const [line] = await once(createInterface(shell.stdout), 'line');
    pid = Number(line);
    await untilAnswering(port, pid);
    await writeFile(join(dir, RUNNING_FILE), JSON.stringify({ pid, port }));
    // The process may end while Redis runs: the watchdog then stops it.
    shell.unref();
    for (const stream of [shell.stdin, shell.stdout]) (stream as unknown as { unref(): void }).unref();
    return { url: `redis://127.0.0.1:${port}`, port, pid, stop };
  } catch (error) {
    await stop();
    throw new Error(`Redis did not start on port ${port}`, { cause: error });
  }
}

async function stopShell(shell: ChildProcess, pid: number): Promise<void> {
  if (shell.exitCode !== null || shell.signalCode !== null) return;
  const ended = once(shell, 'exit');
  shell.ref();
  shell.stdin?.end();
  const impatience = setTimeout(
    () => pid > 0 && isAlive(pid) && process.kill(pid, 'SIGKILL'),
    STOP_TIMEOUT_MS,
  );
  await ended;
  clearTimeout(impatience);
}

/** Resolves when the Redis on `port` is the process `pid` and has loaded its data. */
async function untilAnswering(port: number, pid: number): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const info = await askInfo(port);
    const answering = /process_id:(\d+)/.exec(info)?.[1];
    if (answering === `${pid}` && /loading:0/.test(info)) return;
    if (answering !== undefined && answering !== `${pid}`) throw new Error('another Redis has this port');
    if (!isAlive(pid)) throw new Error('the process ended');
    if (Date.now() > deadline) throw new Error('no answer in time');
    await new Promise((wake) => setTimeout(wake, 10));
  }
}

/** The text of INFO, or '' when nobody answers. A raw socket: nothing to reconnect, nothing to log. */
function askInfo(port: number): Promise<string> {
  return new Promise((answer) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => socket.write('INFO\r\nQUIT\r\n'));
    socket.setTimeout(1_000, () => socket.destroy());
    socket.on('data', (chunk) => {
      text += chunk.toString();
    });
    socket.on('error', () => {});
    socket.on('close', () => answer(text));
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}
