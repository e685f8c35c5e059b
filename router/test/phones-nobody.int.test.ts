import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, it, onTestFinished } from 'vitest';
import { until } from '../../tests/kit/until.ts';
import { writeSupergraph } from './fixture.ts';
import { aForeignSubgraph } from './foreign.ts';

const MAIN = resolve(import.meta.dirname, '../src/main.ts');
const WATCH = resolve(import.meta.dirname, 'watched-process.ts');

/** Loading the gateway package takes a busy machine its time. */
const STARTING_MS = 90_000;

/** A router process that is watched, with one subgraph behind it, and what somebody who has an Apollo account has set. */
async function aWatchedRouter(env: Record<string, string> = {}) {
  const subgraph = await aForeignSubgraph('greeter', 'type Query { hello: String }', {
    Query: { hello: () => 'hello' },
  });
  const dir = await mkdtemp(join(tmpdir(), 'taskflow-watch-'));
  const file = join(dir, 'seen');
  writeFileSync(file, '');
  const child = spawn(
    process.execPath,
    [
      '--import',
      WATCH,
      MAIN,
      '--supergraph',
      await writeSupergraph([subgraph]),
      '--port',
      '0',
      '--anonymous',
    ],
    {
      env: {
        ...{ PATH: process.env.PATH ?? '', WATCH_FILE: file, ...env },
        ...{ APOLLO_KEY: 'service:acme:0123456789', APOLLO_GRAPH_REF: 'acme@current' },
      },
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await rm(dir, { recursive: true, force: true });
  });
  const [line] = await once(createInterface(child.stdout), 'line');
  const url = /http:\/\/\S+/.exec(String(line))?.[0] ?? '';
  const hello = async () => {
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"query":"{ hello }"}',
    });
    expect(await response.json()).toEqual({ data: { hello: 'hello' } });
  };
  const seen = () =>
    readFileSync(file, 'utf8')
      .split('\n')
      .filter((text) => text !== '')
      .map((text): { what: string; to: unknown } => JSON.parse(text));
  return { pid: child.pid ?? 0, hello, seen, subgraph: new URL(subgraph.url).host };
}

/** Far ends of the connections that the kernel knows of a process, in hex as /proc has them. */
function farEndsOf(pid: number): string[] {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return []; // closed meanwhile
      }
    }),
  );
  return ['tcp', 'tcp6', 'udp', 'udp6'].flatMap((kind) =>
    readFileSync(`/proc/${pid}/net/${kind}`, 'utf8')
      .split('\n')
      .map((row) => row.trim().split(/\s+/))
      .filter((row) => inodes.has(row[9] ?? ''))
      .map((row) => row[2] ?? ''),
  );
}

/** 127.0.0.1, the same within IPv6, and the far end of what only listens. */
const LOCAL = /^(0100007F|0{16}FFFF00000100007F|0{8}|0{32}):/;

it(
  'a running router connects to its subgraphs and to nobody else',
  async () => {
    const { pid, hello, seen, subgraph } = await aWatchedRouter();
    const farEnds = new Set<string>();
    const started = performance.now();
    let answered = 0;
    // Twenty times what the exporter's hour is shortened to.
    await until('a second of traffic', async () => {
      await hello();
      answered++;
      if (process.platform === 'linux') for (const end of farEndsOf(pid)) farEnds.add(end);
      return performance.now() - started > 1_000;
    });
    expect(answered).toBeGreaterThan(3);
    // The address that it listens on is looked up as well.
    expect(new Set(seen().map(({ to }) => to))).toEqual(new Set(['127.0.0.1', subgraph]));
    expect([...farEnds].filter((end) => !LOCAL.test(end))).toEqual([]);
  },
  STARTING_MS,
);

it(
  'would be seen phoning Apollo and the metadata services of clouds, if its telemetry were on',
  async () => {
    const { hello, seen } = await aWatchedRouter({ WATCH_CONTROL: 'true' });
    await hello();
    await until('a call to Apollo', () =>
      seen().some(({ to }) => String(to).includes('usage-reporting.api.apollographql.com')),
    );
  },
  STARTING_MS,
);
