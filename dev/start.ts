/**
 * The launcher.
 *
 *   npm start                  everything in one process
 *   npm run start:processes    five processes, as in production        (--processes)
 *   npm run dev                five processes that restart on a change (--watch, through Turborepo)
 *
 * Always: .env ─▶ environment (secrets, PostgreSQL, Redis, migrations, mailbox) ─▶ subgraphs, router ─▶ demo data ─▶ greeting.
 * Ctrl-C stops in the reverse order. A problem is one message, exit code 1, and nothing left running.
 */
import { resolve } from 'node:path';
import { ConfigError } from '@taskflow/kit/config';
import { createConsoleLog, stopOnSignals } from './console.ts';
import { loadEnvFile } from './env-file.ts';
import { createStops } from './stops.ts';

const root = resolve(import.meta.dirname, '..');

/** Only what needs attention: a line for every request would bury the greeting. LOG_LEVEL changes it. */
const QUIET_LOG_LEVEL = 'warn';

const stops = createStops(complain);

async function start(mode: string | undefined): Promise<void> {
  loadEnvFile(root);
  const env: NodeJS.ProcessEnv = { ...process.env, LOG_LEVEL: process.env.LOG_LEVEL || QUIET_LOG_LEVEL };
  const options = {
    dir: resolve(root, env.TASKFLOW_DIR || '.taskflow'),
    env,
    stops,
    log: createConsoleLog(),
  };
  const { origin, mailboxUrl } = await (mode === '--processes'
    ? startApart(options)
    : mode === '--watch'
      ? startWatched(options)
      : startTogether(options));
  stops.checkpoint();
  const { port } = new URL(origin);
  const { seedDemo } = await import('./seed.ts');
  const isNew = await seedDemo(`${origin}/graphql`);
  stops.checkpoint();
  const { greet } = await import('./greeting.ts');
  process.stdout.write(greet({ port: Number(port), mailboxUrl, readyMs: performance.now(), isNew }));
}

/** The router's origin, and the page of the local mailbox. */
type Started = { origin: string; mailboxUrl: string | null };
type Options = Parameters<typeof import('./environment.ts').openEnvironment>[0];

// Loaded inside the functions: the libraries take most of a second, and signals are heard meanwhile.

async function startTogether(options: Options): Promise<Started> {
  const [{ openEnvironment }, { startSupergraph }] = await Promise.all([
    import('./environment.ts'),
    import('./supergraph.ts'),
  ]);
  const { env, mailboxUrl } = await openEnvironment(options);
  return { origin: new URL(await startSupergraph(env, stops, mailboxUrl)).origin, mailboxUrl };
}

async function startApart(options: Options): Promise<Started> {
  const { startProcesses } = await import('./processes.ts');
  const onOutput = (_: string, text: string) => process.stdout.write(text);
  const { routerUrl, mailboxUrl } = await startProcesses({ ...options, onOutput });
  return { origin: new URL(routerUrl).origin, mailboxUrl };
}

async function startWatched(options: Options): Promise<Started> {
  const [{ openEnvironment }, { startTurbo }] = await Promise.all([
    import('./environment.ts'),
    import('./turbo.ts'),
  ]);
  const { env, addresses, mailboxUrl } = await openEnvironment(options);
  await startTurbo({ env, stops, routerUrl: addresses.router });
  return { origin: addresses.router, mailboxUrl };
}

function complain(text: string): void {
  process.stderr.write(`TaskFlow: ${text}\n`);
}

const starting = start(process.argv[2]);
stopOnSignals(async () => {
  process.stdout.write('\nTaskFlow: stopping …\n');
  const stopped = stops.run();
  await starting.catch(() => {});
  await stopped;
});
try {
  await starting;
} catch (error) {
  if (!stops.isStopping()) {
    await stops.run();
    complain(error instanceof ConfigError ? error.message : `cannot start: ${(error as Error).message}`);
    process.exit(1);
  }
}
