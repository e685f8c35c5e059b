/** The launcher as a person meets it: a process, its terminal, its signals. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { freePorts } from './ports.ts';

const README = resolve(import.meta.dirname, '../README.md');
const START = resolve(import.meta.dirname, 'start.ts');
/** The first start makes a cluster, four databases and the demo, beside other tests. */
const START_TIMEOUT_MS = 90_000;

let dir: string;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'taskflow-start-'));
  const names = ['USER', 'ORG', 'TASK', 'NOTIFICATION', 'MAILBOX', 'MAILBOX_SMTP']
    .map((name) => `${name}_PORT`)
    .concat('PORT');
  const ports = await freePorts(names.length);
  const moved = Object.fromEntries(names.map((name, i) => [name, String(ports[i])]));
  env = { PATH: process.env.PATH, HOME: process.env.HOME, TASKFLOW_DIR: dir, ...moved };
});

afterAll(() => {
  for (const pid of findProcesses()) process.kill(pid, 'SIGKILL');
  rmSync(dir, { recursive: true, force: true });
});

interface Launched {
  child: ChildProcess;
  output(): string;
  /** Resolves with the exit code. */
  ended: Promise<number | null>;
}

function launch(changes: NodeJS.ProcessEnv = {}): Launched {
  const child = spawn(process.execPath, [START], {
    env: { ...env, ...changes },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (part) => (text += part));
  return { child, output: () => text, ended: once(child, 'close').then(([code]) => code) };
}

async function untilReady({ child, output }: Launched): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!output().includes('Ctrl-C stops everything')) {
    if (child.exitCode !== null || performance.now() > deadline) throw new Error(`not ready:\n${output()}`);
    await new Promise((wake) => setTimeout(wake, 50));
  }
}

/** Every living process that has this run's folder on its command line or in its environment. */
function findProcesses(): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && name !== String(process.pid));
  return pids.map(Number).filter((pid) => {
    try {
      const found =
        readFileSync(`/proc/${pid}/cmdline`, 'utf8') + readFileSync(`/proc/${pid}/environ`, 'utf8');
      return found.includes(dir);
    } catch {
      return false; // it ended while we looked
    }
  });
}

async function titles(): Promise<string[]> {
  const { stdout } = await promisify(execFile)('sh', ['-c', printedCommand]);
  const { data } = JSON.parse(stdout);
  expect(data.viewer).toMatchObject({ name: 'Grace Hopper', organization: { name: 'Acme' } });
  return data.tasks.nodes.map((task: { title: string }) => task.title);
}

let printedCommand: string;

/** What a command that does not end by itself has printed when `wanted` is part of it. */
async function outputOf(script: string, wanted: string): Promise<string> {
  const child = spawn('sh', ['-c', script], { detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part) => (text += part));
  try {
    await expect.poll(() => text, { timeout: 20_000 }).toContain(wanted);
    return text;
  } finally {
    if (child.pid) process.kill(-child.pid);
  }
}

describe('npm start', () => {
  it('prints commands that work as they stand, and so do those of the README', {
    timeout: START_TIMEOUT_MS,
  }, async () => {
    const run = launch();
    await untilReady(run);
    expect(run.output()).toContain('new demo data');
    expect(run.output()).toContain('grace@acme.test');
    const [asking = '', listening = ''] = run.output().match(/^curl .*$/gm) ?? [];
    printedCommand = asking;
    expect(await titles()).toHaveLength(3);
    expect(await outputOf(listening, '"cursor"')).toMatch(/^event: next$/m);
    const [, shown = ''] = /```sh\n(TOKEN=[^`]*)```/.exec(readFileSync(README, 'utf8')) ?? [];
    const [signIn, , , asEvents, asMultipart] = shown
      .replaceAll('localhost:4000', `localhost:${env.PORT}`)
      .split('\n');
    const events = shown.split('\n')[1];
    expect(await outputOf(`${signIn}\n${events}\n${asEvents}`, '"cursor"')).toMatch(/^event: next$/m);
    expect(await outputOf(`${signIn}\n${events}\n${asMultipart}`, '"cursor"')).toMatch(/^--graphql\r$/m);
    const mailbox = /Mails +(http:\S+)/.exec(run.output())?.[1] ?? '';
    expect(await (await fetch(mailbox)).text()).toContain('TaskFlow mailbox');

    run.child.kill('SIGTERM');
    expect(await run.ended).toBe(0);
    expect(findProcesses()).toEqual([]);
  });

  it('keeps the data from one start to the next', { timeout: START_TIMEOUT_MS }, async () => {
    const run = launch();
    await untilReady(run);
    expect(run.output()).not.toContain('new demo data');
    expect(await titles()).toHaveLength(3);
    run.child.kill('SIGINT');
    expect(await run.ended).toBe(0);
    expect(findProcesses()).toEqual([]);
  });

  it('brings no mailbox where mails go to another server', { timeout: START_TIMEOUT_MS }, async () => {
    const taken = createServer().listen(Number(env.MAILBOX_PORT), '127.0.0.1');
    await once(taken, 'listening');
    onTestFinished(() => void taken.close());
    const run = launch({ NOTIFICATION_SMTP_URL: 'smtp://127.0.0.1:9' });
    await untilReady(run);
    expect(run.output()).not.toContain('Mails ');
    run.child.kill('SIGTERM');
    expect(await run.ended).toBe(0);
  });

  it('leaves no process when it is killed', { timeout: START_TIMEOUT_MS }, async () => {
    const run = launch();
    await untilReady(run);
    run.child.kill('SIGKILL');
    await run.ended;
    await expect.poll(findProcesses, { timeout: 20_000 }).toEqual([]);
  });

  it('gives a start up when it is told to stop before it is ready', {
    timeout: START_TIMEOUT_MS,
  }, async () => {
    const run = launch();
    await expect.poll(() => findProcesses().length, { timeout: 20_000 }).toBeGreaterThan(1);
    run.child.kill('SIGTERM');
    expect(await run.ended).toBe(0);
    expect(run.output()).not.toContain('Demo accounts');
    expect(findProcesses()).toEqual([]);
  });

  it.each(['TASK_PORT', 'MAILBOX_SMTP_PORT'])(
    'names a taken port and the variable that moves it: %s',
    {
      timeout: START_TIMEOUT_MS,
    },
    async (variable) => {
      const server = createServer().listen(Number(env[variable]), '127.0.0.1');
      await once(server, 'listening');
      onTestFinished(() => void server.close());
      const run = launch();
      expect(await run.ended).toBe(1);
      expect(run.output()).toBe(
        `TaskFlow: cannot start: port ${env[variable]} on 127.0.0.1 is taken by another process: free it, or choose another with ${variable}\n`,
      );
      expect(findProcesses()).toEqual([]);
    },
  );

  it('names every broken variable at once, and no secret', { timeout: START_TIMEOUT_MS }, async () => {
    const run = launch({
      MAILBOX_PORT: 'none',
      ORG_PORT: 'many',
      USER_REFRESH_KEY: 'hunter2',
      LOG_LEVEL: 'loud',
    });
    expect(await run.ended).toBe(1);
    for (const name of ['MAILBOX_PORT', 'ORG_PORT', 'USER_REFRESH_KEY', 'LOG_LEVEL'])
      expect(run.output()).toContain(name);
    expect(run.output()).not.toContain('hunter2');
    expect(run.output()).not.toContain('    at ');
  });

  it('says which folder it cannot use', { timeout: START_TIMEOUT_MS }, async () => {
    const file = join(dir, 'a-file');
    writeFileSync(file, '');
    const run = launch({ TASKFLOW_DIR: join(file, 'inside') });
    expect(await run.ended).toBe(1);
    expect(run.output()).toMatch(/^TaskFlow: cannot start: .*a-file\/inside must be writable.*\n$/);
  });
});
