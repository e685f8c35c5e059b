/**
 * `npm run generate`: the code that is derived and not committed, into each owner's `generated/` folder.
 *
 *   prisma/<x>/schema.prisma ─▶ the database client of subgraph <x>
 *   schema/*.graphql         ─▶ resolver types of the subgraphs, typed documents of the clients (codegen.ts)
 *
 * Every unit has a fingerprint of what it reads, so only what is stale is made again.
 * `--check` makes nothing and exits 1 when something is stale.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
/** Inside node_modules: a fresh install brings new generators, and takes the fingerprints with it. */
const stampFile = join(root, 'node_modules/.cache/taskflow/generated.json');

interface Unit {
  readonly name: string;
  /** Globs of everything the result depends on. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly command: readonly string[];
}

const SUBGRAPHS = ['user', 'org', 'task', 'notification'];

const units: readonly Unit[] = [
  ...SUBGRAPHS.map((name) => ({
    name: `prisma/${name}`,
    inputs: [`prisma/${name}/schema.prisma`, 'node_modules/prisma/package.json'],
    outputs: [`subgraphs/${name}/src/generated/prisma/client.ts`],
    command: ['node_modules/prisma/build/index.js', 'generate', '--schema', `prisma/${name}/schema.prisma`],
  })),
  {
    name: 'codegen',
    inputs: [
      'codegen.ts',
      'schema/*.graphql',
      'subgraphs/*/src/mappers.ts',
      'tests/**/*.ts',
      'node_modules/@graphql-codegen/*/package.json',
    ],
    outputs: [
      ...SUBGRAPHS.map((name) => `subgraphs/${name}/src/generated/graphql.ts`),
      'tests/generated/gql.ts',
    ],
    command: ['node_modules/@graphql-codegen/cli/cjs/bin.js', '--config', 'codegen.ts'],
  },
];

/** Of the tests only the documents in them count, or every edit of a test would generate everything again. */
const DOCUMENTS = /graphql\(\s*(?:\/\*.*?\*\/\s*)?`[^`]*`/g;

function fingerprint(unit: Unit): string {
  const hash = createHash('sha256').update(unit.command.join(' '));
  const paths = globSync([...unit.inputs], { cwd: root, exclude: ['tests/generated/**'] });
  for (const path of paths.sort()) {
    const text = readFileSync(join(root, path), 'utf8');
    const part = path.startsWith('tests/') ? (text.match(DOCUMENTS) ?? []).join('\0') : text;
    if (part !== '') hash.update(`${path}\0${part}\0`);
  }
  return hash.digest('hex');
}

function isMissing(unit: Unit): boolean {
  return unit.outputs.some((path) => !existsSync(join(root, path)));
}

function readStamps(): Record<string, string> {
  try {
    return JSON.parse(readFileSync(stampFile, 'utf8')) as Record<string, string>;
  } catch {
    return {}; // never generated, or cut off while writing: everything is stale
  }
}

async function generate(unit: Unit): Promise<void> {
  const child = spawn(process.execPath, [...unit.command], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      // `prisma generate` looks whether this file exists and never runs it: without it, it would be downloaded.
      PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
      PRISMA_HIDE_UPDATE_MESSAGE: '1',
      CHECKPOINT_DISABLE: '1', // Prisma's telemetry
    },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${unit.name}: the generator ended with code ${code}\n${output}`);
}

const stamps = readStamps();
const stale = units.filter((unit) => stamps[unit.name] !== fingerprint(unit) || isMissing(unit));
if (process.argv.includes('--check')) process.exit(stale.length > 0 ? 1 : 0);

const results = await Promise.allSettled(
  stale.map(async (unit) => {
    const before = fingerprint(unit); // an input saved meanwhile must count as stale next time
    await generate(unit);
    stamps[unit.name] = before;
  }),
);
mkdirSync(dirname(stampFile), { recursive: true });
writeFileSync(stampFile, JSON.stringify(stamps, null, 2));
for (const result of results) {
  if (result.status === 'fulfilled') continue;
  process.stderr.write(`${(result.reason as Error).message}\n`);
  process.exitCode = 1;
}
