// npm run bench [-- options]: measures, and prints tables. It asserts nothing about time.

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { stopOnSignals } from '@taskflow/dev/console';
import { createStops, type Stops } from '@taskflow/dev/stops';
import type { Schedule } from './load.ts';
import { type Result, tablesOf, withRatios } from './report.ts';

const HELP = `Usage: npm run bench -- [options]

  --only PART        router (beside the stock gateway), whole (with PostgreSQL and Redis) or login (what refused
                     sign-ins tell by their time); the first two when absent
  --rounds N         interleaved rounds of each contender (3)
  --seconds N        length of a round; a warm-up lasts as long, or twice (1.5)
  --connections N    of the load generator, at the gateways (64)
  --tasks N          of the organisation whose lists are read (20000)
  --rate N           mutations a second while frames are timed (50)
  --logins N         of known and of unknown addresses, each (1000)
  --json             the result as JSON on standard output, instead of tables
  --help             this text

See bench/README.md for what is measured, and what not to conclude from it.
`;

/** As many connections as the pool of a subgraph has, or fewer: its queue is not what is measured. */
const WHOLE_CONNECTIONS = 8;
/** Both contenders run in one process: with less, the first to be measured is the colder one, by a fifth. */
const WHOLE_WARMUP = 2;
/** A page that lies 100 pages of 50 into the list has to be there. */
const TASKS_MIN = 5_050;
const INTERRUPTED = 130;

const stops = createStops(complain);

interface Options {
  only: 'router' | 'whole' | 'login' | undefined;
  schedules: Result['schedules'];
  tasks: number;
  rate: number;
  logins: number;
  json: boolean;
}

function optionsOf(argv: string[]): Options | null {
  const { values } = parseArgs({
    args: argv,
    options: {
      only: { type: 'string' },
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '1.5' },
      connections: { type: 'string', default: '64' },
      tasks: { type: 'string', default: '20000' },
      rate: { type: 'string', default: '50' },
      logins: { type: 'string', default: '1000' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false, short: 'h' },
    },
  });
  if (values.help) return null;
  const { only, json } = values;
  if (only !== undefined && only !== 'router' && only !== 'whole' && only !== 'login')
    throw new Error('--only takes router, whole or login');
  const seconds = numberOf('seconds', values.seconds, 0.1);
  const rounds = wholeNumberOf('rounds', values.rounds, 1);
  const common = { rounds, seconds, warmupSeconds: seconds };
  return {
    only,
    json,
    schedules: {
      router: { ...common, concurrency: wholeNumberOf('connections', values.connections, 1) },
      whole: { ...common, warmupSeconds: WHOLE_WARMUP * seconds, concurrency: WHOLE_CONNECTIONS },
    },
    tasks: wholeNumberOf('tasks', values.tasks, TASKS_MIN),
    rate: wholeNumberOf('rate', values.rate, 1),
    logins: wholeNumberOf('logins', values.logins, 1),
  };
}

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

async function run({ only, schedules, tasks, rate, logins }: Options): Promise<Result> {
  const machine = await describeMachine();
  const dir = await mkdtemp(join(tmpdir(), 'taskflow-bench-'));
  await stops.add('files', () => rm(dir, { recursive: true, force: true }));
  // Each part stops what it started before the next one begins: they do not measure each other.
  const router =
    only === 'whole' || only === 'login'
      ? null
      : await apart(async (stops) => {
          const { compareRouters } = await import('./router/compare.ts');
          return compareRouters({ dir, schedule: schedules.router, stops, say });
        });
  const whole =
    only === 'router' || only === 'login'
      ? null
      : await apart(async (stops) => {
          const { measureWhole } = await import('./whole/measure.ts');
          const schedule: Schedule = schedules.whole;
          const frames = { rate, seconds: schedule.rounds * schedule.seconds };
          return measureWhole({ dir, tasks, schedule, frames, stops, say });
        });
  const login =
    only !== 'login'
      ? null
      : await apart(async (stops) => {
          const { measureLogins } = await import('./login/timing.ts');
          return measureLogins({ dir, logins, stops, say });
        });
  return { machine, schedules, router, whole, login };
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

async function main(): Promise<void> {
  const options = optionsOf(process.argv.slice(2));
  if (!options) {
    process.stdout.write(HELP);
    return;
  }
  const running = run(options);
  stopOnSignals(async () => {
    complain('stopping');
    await stops.run();
    await running.catch(() => {});
    process.exit(INTERRUPTED);
  });
  try {
    const result = await running;
    await stops.run();
    process.stdout.write(
      options.json ? `${JSON.stringify(withRatios(result), null, 2)}\n` : tablesOf(result),
    );
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
