/** `npm run dev`: Turborepo runs the `dev` script of every package, on the servers that the launcher started. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import type { Stops } from './stops.ts';

const root = resolve(import.meta.dirname, '..');

/** Five watched processes load their libraries side by side, on whatever machine. */
const READY_TIMEOUT_MS = 120_000;
const POLL_MS = 200;
/** The processes drain for at most 10 s. */
const STOP_TIMEOUT_MS = 15_000;

/** Resolves when the router says that every part is ready. */
export async function startTurbo(options: {
  env: NodeJS.ProcessEnv;
  stops: Stops;
  routerUrl: string;
}): Promise<void> {
  const { env, stops, routerUrl } = options;
  const turbo = spawn(
    resolve(root, 'node_modules/.bin/turbo'),
    ['run', 'dev', '--ui=stream', '--output-logs=full'],
    {
      cwd: root,
      // A session of its own: Ctrl-C reaches the launcher only, which then stops Turborepo before the servers.
      detached: true,
      stdio: ['ignore', 'inherit', 'inherit'],
      // Turborepo phones home unless told not to.
      env: { ...env, TURBO_TELEMETRY_DISABLED: '1', TURBO_NO_UPDATE_NOTIFIER: '1', DO_NOT_TRACK: '1' },
    },
  );
  await stops.add('Turborepo', () => end(turbo));
  const deadline = performance.now() + READY_TIMEOUT_MS;
  while (!(await isReady(routerUrl))) {
    stops.checkpoint();
    if (turbo.exitCode !== null) throw new Error(`Turborepo ended with code ${turbo.exitCode}`);
    if (performance.now() > deadline) throw new Error('the processes were not ready in time');
    await new Promise((wake) => setTimeout(wake, POLL_MS));
  }
}

async function isReady(routerUrl: string): Promise<boolean> {
  return fetch(`${routerUrl}/health/ready`, { signal: AbortSignal.timeout(1_000) }).then(
    (response) => response.ok,
    () => false,
  );
}

/** Turborepo gives every task a group of its own; the session is what holds them all. */
async function end(turbo: ChildProcess): Promise<void> {
  if (turbo.exitCode === null && turbo.signalCode === null) {
    const ended = once(turbo, 'exit');
    turbo.kill('SIGINT');
    const impatience = setTimeout(() => killSession(turbo.pid), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(impatience);
  }
  killSession(turbo.pid);
}

/** Whoever is left: a task that hangs, or one whose Turborepo was killed. */
function killSession(session: number | undefined): void {
  const table = execFileSync('ps', ['-eo', 'pid=,sess='], { encoding: 'utf8' });
  for (const line of table.split('\n')) {
    const [pid, sess] = line.trim().split(/\s+/).map(Number);
    if (pid && sess === session) process.kill(pid, 'SIGKILL');
  }
}
