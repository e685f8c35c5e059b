/** The processes of a benchmark: started alone, ready when they say so, ended by their own id. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Stops } from '@taskflow/dev/stops';

export interface Child {
  pid: number;
  /** The text on its standard output that told that it is ready; empty where an address tells. */
  ready: string;
}

const root = join(import.meta.dirname, '..');
/** Composing and planning libraries load in 2 s on an idle machine; this one may be busy. */
const START_TIMEOUT_MS = 60_000;
const POLL_MS = 100;
/** A server that drains its requests is done in a moment: nobody asks any more. */
const STOP_TIMEOUT_MS = 5_000;
/** Ends the child when this process ends without a word. */
const GUARD = join(import.meta.dirname, 'end-with-parent.ts');

/** A text on standard output, or an address that answers 200. */
export type Readiness = RegExp | { readonly url: string };

/** Starts `node ARGS` and waits until it is ready. Registered with `stops` at once. `variables` go over the environment. */
export async function startChild(options: {
  name: string;
  args: readonly string[];
  ready: Readiness;
  stops: Stops;
  variables?: NodeJS.ProcessEnv;
}): Promise<Child> {
  const { name, args, ready, stops } = options;
  const child = spawn(process.execPath, ['--import', GUARD, ...args], {
    cwd: root,
    env: { ...environment(), ...options.variables },
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true, // Ctrl-C reaches the benchmark alone, which then stops its children in order
  });
  await stops.add(name, () => endChild(child));
  const { pid } = child;
  if (pid === undefined) throw new Error(`${name} could not be started`);
  return { pid, ready: await readiness(name, child, ready) };
}

/** The same for all, and nothing of the caller's: no key of an account, no option of Node, no variable of TaskFlow. */
function environment(): NodeJS.ProcessEnv {
  const { PATH, HOME, TMPDIR } = process.env;
  return { PATH, HOME, TMPDIR, NODE_ENV: 'production', APOLLO_TELEMETRY_DISABLED: '1' };
}

function readiness(name: string, child: ChildProcess, ready: Readiness): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = '';
    const fail = (reason: string) => {
      clearInterval(polling);
      reject(new Error(`${name} ${reason}\n${said.slice(-4_000)}`));
    };
    const timer = setTimeout(() => fail(`was not ready after ${START_TIMEOUT_MS} ms`), START_TIMEOUT_MS);
    const onText = (text: string) => {
      said += text;
      const [match] = (ready instanceof RegExp && ready.exec(said)) || [];
      if (match !== undefined) isReady(match);
    };
    const isReady = (text: string) => {
      clearTimeout(timer);
      clearInterval(polling);
      resolve(text);
    };
    const polling = setInterval(async () => {
      if (ready instanceof RegExp) return clearInterval(polling);
      const answer = await fetch(ready.url).catch(() => null);
      if (answer?.ok) isReady('');
    }, POLL_MS);
    child.stdout?.setEncoding('utf8').on('data', onText);
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    child.once('error', (error) => fail(`could not be started: ${error.message}`));
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      fail(`ended while starting (${signal ?? `exit code ${code}`})`);
    });
  });
}

async function endChild(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await ended;
  clearTimeout(timer);
}
