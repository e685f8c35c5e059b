// npm run bench [-- PART … options]: measures, and prints tables. It asserts nothing about time.

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { stopOnSignals } from '@taskflow/dev/console';
import { createStops, type Stops } from '@taskflow/dev/stops';
import type { Options, Part, PartResult } from './part.ts';

const parts: readonly Part[] = [
  {
    name: 'router',
    about: 'the router beside other gateways, in front of subgraphs that answer from memory',
    load: () => import('./router/part.ts'),
  },
  {
    name: 'list',
    about:
      'lists over the whole way, PostgreSQL included: an early page beside a late one, row security beside none',
    load: () => import('./list/part.ts'),
  },
  {
    name: 'latency',
    about: 'from the commit of a mutation to the frame at another person’s subscription',
    load: () => import('./latency/part.ts'),
  },
  {
    name: 'fanout',
    about:
      'one change to thousands who listen to the same subscription, executed once for all or once for each',
    load: () => import('./fanout/part.ts'),
  },
  {
    name: 'neighbours',
    about: 'operations beside a subgraph that hangs, fails or answers nonsense',
    load: () => import('./neighbours/part.ts'),
  },
  {
    name: 'login',
    about: 'what refused sign-ins tell by their time',
    load: () => import('./login/part.ts'),
  },
];
/** What refused sign-ins tell is a proof of safety, what a failing neighbour does one of robustness: not of speed. */
const byDefault = parts.filter(({ name }) => name !== 'login' && name !== 'neighbours');

const HELP = `Usage: npm run bench -- [PART …] [options]

${parts.map(({ name, about }) => `  ${name.padEnd(18)} ${about}`).join('\n')}

Without a part: ${byDefault.map(({ name }) => name).join(', ')}.

  --rounds N         interleaved rounds of each contender (3)
  --seconds N        length of a round; a warm-up lasts as long, or twice (1.5)
  --connections N    of the load generator, at the gateways (64)
  --operations A,B   router: these operations only
  --gateways A,B     router: these contenders only
  --no-peers         router: without the gateways that have to be installed first
  --tasks N          list: rows in the table of tasks (1000000)
  --tenants N        list: organisations that share them (1000)
  --rate N           latency: mutations a second (200)
  --listeners N      fanout: connections that listen (10000)
  --logins N         login: of known and of unknown addresses, each (1000)
  --json             the result as JSON on standard output, instead of tables
  --help             this text

See bench/README.md for what is measured, and what not to conclude from it.
`;

const INTERRUPTED = 130;

const stops = createStops(complain);

interface Run {
  parts: readonly Part[];
  options: Options;
  json: boolean;
}

function runOf(argv: string[]): Run | null {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    allowNegative: true,
    options: {
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '1.5' },
      connections: { type: 'string', default: '64' },
      operations: { type: 'string', default: '' },
      gateways: { type: 'string', default: '' },
      peers: { type: 'boolean', default: true },
      tasks: { type: 'string', default: '1000000' },
      tenants: { type: 'string', default: '1000' },
      rate: { type: 'string', default: '200' },
      listeners: { type: 'string', default: '10000' },
      logins: { type: 'string', default: '1000' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false, short: 'h' },
    },
  });
  if (values.help) return null;
  const unknown = positionals.find((name) => !parts.some((part) => part.name === name));
  if (unknown !== undefined)
    throw new Error(`there is no part ${unknown}: ${parts.map(({ name }) => name).join(', ')}`);
  return {
    parts: positionals.length === 0 ? byDefault : parts.filter(({ name }) => positionals.includes(name)),
    json: values.json,
    options: {
      rounds: wholeNumberOf('rounds', values.rounds, 1),
      seconds: numberOf('seconds', values.seconds, 0.1),
      connections: wholeNumberOf('connections', values.connections, 1),
      operations: namesIn(values.operations),
      gateways: namesIn(values.gateways),
      peers: values.peers,
      tasks: wholeNumberOf('tasks', values.tasks, 1),
      tenants: wholeNumberOf('tenants', values.tenants, 1),
      rate: wholeNumberOf('rate', values.rate, 1),
      listeners: wholeNumberOf('listeners', values.listeners, 1),
      logins: wholeNumberOf('logins', values.logins, 1),
    },
  };
}

const namesIn = (text: string) => text.split(',').filter((name) => name !== '');

function numberOf(name: string, text: string, min: number): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < min) throw new Error(`--${name} takes a number from ${min} on`);
  return value;
}

function wholeNumberOf(name: string, text: string, min: number): number {
  const value = numberOf(name, text, min);
  if (!Number.isInteger(value)) throw new Error(`--${name} takes a whole number`);
  return value;
}

interface Result {
  machine: Record<string, string | number>;
  /** By name of the part. */
  parts: Record<string, PartResult>;
}

async function run({ parts, options }: Run): Promise<Result> {
  const machine = await describeMachine();
  const results: Result['parts'] = {};
  for (const part of parts) {
    const dir = await mkdtemp(join(tmpdir(), 'taskflow-bench-'));
    await stops.add('files', () => rm(dir, { recursive: true, force: true }));
    // Each part stops what it started before the next one begins: they do not measure each other.
    results[part.name] = await apart(async (stops) => (await part.load()).run({ dir, options, stops, say }));
  }
  return { machine, parts: results };
}

async function apart<T>(work: (stops: Stops) => Promise<T>): Promise<T> {
  const own = createStops(complain);
  await stops.add('a part of the benchmark', () => own.run());
  stops.checkpoint();
  try {
    return await work(own);
  } finally {
    await own.run();
  }
}

async function describeMachine(): Promise<Result['machine']> {
  const versionOf = async (name: string) => {
    const file = join(import.meta.dirname, '../node_modules', name, 'package.json');
    return JSON.parse(await readFile(file, 'utf8')).version as string;
  };
  return {
    Node: process.versions.node,
    cores: availableParallelism(),
    'load before': (loadavg()[0] ?? 0).toFixed(2),
    'stock: @apollo/gateway': await versionOf('@apollo/gateway'),
    '@apollo/server': await versionOf('@apollo/server'),
  };
}

function say(text: string): void {
  process.stderr.write(`bench: ${text} …\n`);
}

function complain(text: string): void {
  process.stderr.write(`bench: ${text}\n`);
}

function textOf({ machine, parts }: Result): string {
  const facts = Object.entries(machine).map(([name, value]) => `${name} ${value}`);
  return `${[facts.join(' · '), ...Object.values(parts).flatMap(({ tables }) => tables)].join('\n\n')}\n`;
}

function jsonOf({ machine, parts }: Result): string {
  const results = Object.entries(parts).map(([name, { result }]) => [name, result]);
  return `${JSON.stringify({ machine, ...Object.fromEntries(results) }, null, 2)}\n`;
}

async function main(): Promise<void> {
  const asked = runOf(process.argv.slice(2));
  if (!asked) {
    process.stdout.write(HELP);
    return;
  }
  const running = run(asked);
  stopOnSignals(async () => {
    complain('stopping');
    await stops.run();
    await running.catch(() => {});
    process.exit(INTERRUPTED);
  });
  try {
    const result = await running;
    await stops.run();
    process.stdout.write(asked.json ? jsonOf(result) : textOf(result));
  } catch (error) {
    if (stops.isStopping()) return; // the signal's own way out
    await stops.run();
    throw error;
  }
}

try {
  await main();
} catch (error) {
  complain((error as Error).message);
  process.exitCode = 1;
}
