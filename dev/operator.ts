/**
 * The operator's command line:
 *
 *   npm run operator -- <command> [arguments]      `help`, or nothing, lists the commands
 *
 * A command is a file of the subgraph that owns the matter, `subgraphs/<x>/src/commands/keys-rotate.ts` for `keys rotate`
 * (kit/command.ts). It works on the installation that the variables name, else on the one in `.taskflow/`, whether
 * that is running or not.
 *
 * exit codes   0  done      1  failed, one message on stderr      2  no such command, or arguments that make no sense
 */
import { existsSync, readdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { type OperatorCommand, UsageError } from '@taskflow/kit/command';
import { ConfigError } from '@taskflow/kit/config';
import { createConsoleLog, stopOnSignals } from './console.ts';
import { loadEnvFile } from './env-file.ts';
import { createStops } from './stops.ts';

/** In the order in which a command of several subgraphs runs. */
const SUBGRAPHS = ['user', 'org', 'task', 'notification'] as const;

/** What a service writes to its log is no answer to an operator. */
const QUIET_LOG_LEVEL = 'warn';

const root = resolve(import.meta.dirname, '..');
const stops = createStops(complain);

/** `keys rotate` ─▶ the files that do it. */
function findCommands(): Map<string, string[]> {
  const commands = new Map<string, string[]>();
  for (const subgraph of SUBGRAPHS) {
    const folder = join(root, 'subgraphs', subgraph, 'src', 'commands');
    const files = existsSync(folder) ? readdirSync(folder).sort() : [];
    for (const file of files.filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))) {
      const words = basename(file, '.ts').replaceAll('-', ' ');
      commands.set(words, [...(commands.get(words) ?? []), join(folder, file)]);
    }
  }
  return commands;
}

const load = async (file: string) => ((await import(file)) as { command: OperatorCommand }).command;

async function printHelp(commands: Map<string, string[]>): Promise<void> {
  const width = Math.max(...[...commands.keys()].map(({ length }) => length));
  const lines = await Promise.all(
    [...commands]
      .sort()
      .map(async ([words, [file = '']]) => `  ${words.padEnd(width)}   ${(await load(file)).summary}`),
  );
  const head = 'Usage: npm run operator -- <command> [arguments]      <command> --help shows the arguments';
  process.stdout.write(`${head}\n\n${lines.join('\n')}\n`);
}

/** The exit code. */
async function main(given: readonly string[]): Promise<number> {
  const commands = findCommands();
  if (given.length === 0 || ['help', '--help', '-h'].includes(given[0] ?? '')) {
    await printHelp(commands);
    return 0;
  }
  const words = [...commands.keys()].find((name) => `${given.join(' ')} `.startsWith(`${name} `));
  if (!words) {
    complain(`there is no command "${given.join(' ')}"; \`npm run operator -- help\` lists them`);
    return 2;
  }
  const args = given.slice(words.split(' ').length);
  const loaded = await Promise.all((commands.get(words) ?? []).map(load));
  if (args.includes('--help')) {
    for (const { usage, summary } of loaded)
      process.stdout.write(`npm run operator -- ${words} ${usage}\n\n${summary}\n`);
    return 0;
  }
  return run(words, loaded, args);
}

async function run(words: string, commands: OperatorCommand[], args: string[]): Promise<number> {
  loadEnvFile(root);
  const given: NodeJS.ProcessEnv = { ...process.env, LOG_LEVEL: process.env.LOG_LEVEL || QUIET_LOG_LEVEL };
  const dir = resolve(root, given.TASKFLOW_DIR || '.taskflow');
  try {
    const { openInstallation } = await import('./installation.ts');
    const env = await openInstallation({ dir, env: given, stops, log: createConsoleLog() });
    let failed: unknown = null;
    for (const command of commands) {
      try {
        await command.run(args, { env, out: (line) => process.stdout.write(`${line}\n`) });
      } catch (error) {
        if (!command.onlyLooks || error instanceof UsageError) throw error;
        if (failed) tell(failed);
        failed = error;
      }
    }
    if (failed) throw failed;
    return 0;
  } catch (error) {
    const isUsage = error instanceof UsageError;
    tell(error);
    if (isUsage) for (const { usage } of commands) complain(`usage: npm run operator -- ${words} ${usage}`);
    return isUsage ? 2 : 1;
  }

  function tell(error: unknown): void {
    complain(error instanceof ConfigError ? error.message : `${words}: ${(error as Error).message}`);
  }
}

function complain(text: string): void {
  process.stderr.write(`TaskFlow: ${text}\n`);
}

stopOnSignals(() => stops.run());
const code = await main(process.argv.slice(2));
await stops.run();
process.exit(code);
