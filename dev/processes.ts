/**
 * TaskFlow as separate processes, each of which can be killed and started again: what a cluster does to them
 * on a bad day, on one machine. `npm run start:processes` runs it; the tests of faults drive it.
 *
 *   startProcesses ─▶ PostgreSQL, Redis ─▶ user, org, task, notification ─▶ router
 *
 * Every process keeps its port for its whole life, so that the others find it again. They run in groups of
 * their own: Ctrl-C reaches this one only, which stops them in order.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { subgraphs } from '@taskflow/prisma/databases';
import { createConsoleLog } from './console.ts';

import { openEnvironment } from './environment.ts';
import { freePorts } from './ports.ts';
import type { OwnServer } from './servers.ts';
import { createStops, type Stops } from './stops.ts';

const root = resolve(import.meta.dirname, '..');

export const PROCESSES = [...subgraphs, 'router'] as const;
type ProcessName = (typeof PROCESSES)[number];
type ServerName = 'postgres' | 'redis';
export type PartName = ProcessName | ServerName;

export interface Processes {
  /** The router's GraphQL endpoint. */
  readonly routerUrl: string;
  /** Where each process listens, without a path. */
  readonly urls: Readonly<Record<ProcessName, string>>;
  /** The page of the local mailbox; null where NOTIFICATION_SMTP_URL names another server. */
  readonly mailboxUrl: string | null;
  /** What each of them was given. */
  readonly env: NodeJS.ProcessEnv;
  /** Resolves when the process is gone. Killing what is not running is harmless. */
  kill(name: PartName, signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again, on its old port; resolves when it answers. What still runs is killed first. */
  restart(name: PartName): Promise<void>;
  /** Everything in order, the servers of our own last. Safe to call twice. */
  stop(): Promise<void>;
}

/** Loading the libraries and connecting takes 2 s on an idle machine; a test run has neighbours. */
const START_TIMEOUT_MS = 60_000;
const POLL_MS = 50;

/**
 * `dir` keeps secrets and data. `ports: 'free'` moves all of them out of the way of other installations.
 * `onOutput` receives what the processes write.
 */
export async function startProcesses(options: {
  dir: string;
  env?: NodeJS.ProcessEnv;
  ports?: 'default' | 'free';
  onOutput?: (name: ProcessName, text: string) => void;
  /** For a caller who stops more than this, or who may give up the start. */
  stops?: Stops;
}): Promise<Processes> {
  const given = { ...process.env, ...options.env };
  if (options.ports === 'free') Object.assign(given, await chooseFreePorts());
  const log = createConsoleLog();
  const stops = options.stops ?? createStops((text) => process.stderr.write(`TaskFlow: ${text}\n`));
  try {
    return await launch({ ...options, env: given, log, stops });
  } catch (error) {
    await stops.run();
    throw error;
  }
}

async function chooseFreePorts(): Promise<NodeJS.ProcessEnv> {
  const names = [...PROCESSES, 'mailbox', 'mailbox_smtp'];
  const ports = await freePorts(names.length);
  return Object.fromEntries(names.map((name, i) => [`${name.toUpperCase()}_PORT`, String(ports[i])]));
}

type LaunchOptions = Parameters<typeof openEnvironment>[0] &
  Pick<Parameters<typeof startProcesses>[0], 'onOutput'>;

async function launch({ onOutput, ...options }: LaunchOptions): Promise<Processes> {
  const { stops } = options;
  const environment = await openEnvironment(options);
  const { env, addresses } = environment;
  const children = new Map<ProcessName, ChildProcess>();

  async function startChild(name: ProcessName): Promise<void> {
    const child = spawn(process.execPath, [mainOf(name)], {
      cwd: root,
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.set(name, child);
    let tail = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        tail = (tail + text).slice(-4_000);
        onOutput?.(name, text);
      });
    }
    await untilLive(child, addresses[name]).catch((error) => {
      throw new Error(`${name} ${(error as Error).message}\n${tail}`);
    });
  }

  async function endChild(name: ProcessName, signal: NodeJS.Signals): Promise<void> {
    const child = children.get(name);
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  function serverOf(name: ServerName): OwnServer {
    const server = environment[name];
    if (!server) throw new Error(`${name} was given by a variable: it is not ours to kill`);
    return server;
  }

  for (const name of PROCESSES) await stops.add(name, () => endChild(name, 'SIGTERM'));
  for (const result of await Promise.allSettled(subgraphs.map(startChild))) {
    if (result.status === 'rejected') throw result.reason;
  }
  await startChild('router');

  return {
    routerUrl: `${addresses.router}/graphql`,
    urls: addresses,
    mailboxUrl: environment.mailboxUrl,
    env,
    kill: async (name, signal = 'SIGKILL') =>
      isServer(name) ? serverOf(name).kill(signal) : endChild(name, signal),
    async restart(name) {
      if (isServer(name)) return serverOf(name).restart();
      await endChild(name, 'SIGKILL');
      await startChild(name);
    },
    stop: () => stops.run(),
  };
}

function isServer(name: PartName): name is ServerName {
  return name === 'postgres' || name === 'redis';
}

function mainOf(name: ProcessName): string {
  return name === 'router' ? join(root, 'router/src/main.ts') : join(root, 'subgraphs', name, 'src/main.ts');
}

async function untilLive(child: ChildProcess, url: string): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`ended while starting (${child.signalCode ?? `exit code ${child.exitCode}`})`);
    const isLive = await fetch(`${url}/health/live`, { signal: AbortSignal.timeout(1_000) }).then(
      (response) => response.ok,
      () => false,
    );
    if (isLive) return;
    await new Promise((wake) => setTimeout(wake, POLL_MS));
  }
  throw new Error(`was not live after ${START_TIMEOUT_MS} ms`);
}
