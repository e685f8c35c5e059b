/** `npm run dev`: Turborepo runs the `dev` script of every package, on the servers that the launcher started. */
import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { findMembers } from './process-table.ts';
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

/** Turborepo gives every task a group of its own and may end before them: the session holds them all. */
async function end({ pid: session }: ChildProcess): Promise<void> {
  if (session === undefined) return;
  signal([-session], 'SIGINT');
  const deadline = performance.now() + STOP_TIMEOUT_MS;
  while (findMembers(session).length > 0) {
    if (performance.now() > deadline) signal(findMembers(session), 'SIGKILL');
    await new Promise((wake) => setTimeout(wake, POLL_MS));
  }
}

function signal(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch {
      // it has ended meanwhile
    }
  }
}
