/** The tree as the architecture tests see it: tracked source files, and what each imports. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

export const SUBGRAPHS = ['user', 'org', 'task', 'notification'] as const;

/** Files that git knows or would know, relative to the root. */
export const files: readonly string[] = execFileSync(
  'git',
  ['ls-files', '--cached', '--others', '--exclude-standard'],
  { cwd: root, encoding: 'utf8' },
)
  .split('\n')
  .filter((file) => file !== '');

export const sources = files.filter((file) => /\.(ts|mjs)$/.test(file));

export const isTest = (file: string): boolean =>
  /\.test\.ts$|\.fixture\.ts$/.test(file) || /(^|\/)tests?\//.test(file);

export const read = (file: string): string => readFileSync(join(root, file), 'utf8');

export interface Import {
  file: string;
  /** As written. */
  specifier: string;
  /** A path from the root for our own code (`kit/redis.ts`), otherwise the package's name. */
  target: string;
}

const IMPORT =
  /(?:^|\n)\s*(?:import|export)\b[^'";]*?\bfrom\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)|(?:^|\n)import\s+['"]([^'"]+)['"]/g;

/** Where a workspace package's modules are. */
const ROOM: Readonly<Record<string, string>> = {
  ...Object.fromEntries(['schema', 'prisma', 'kit', 'dev', 'tests', 'bench'].map((room) => [room, room])),
  router: 'router/src',
  ...Object.fromEntries(SUBGRAPHS.map((name) => [name, `subgraphs/${name}/src`])),
};

export const imports: readonly Import[] = sources.flatMap((file) =>
  [...read(file).matchAll(IMPORT)].map((match) => {
    const specifier = match[1] ?? match[2] ?? match[3] ?? '';
    return { file, specifier, target: targetOf(file, specifier) };
  }),
);

function targetOf(file: string, specifier: string): string {
  if (specifier.startsWith('.')) return normalize(join(dirname(file), specifier));
  const own = /^@taskflow\/([^/]+)\/?(.*)$/.exec(specifier);
  if (own) return `${ROOM[own[1] ?? ''] ?? own[1]}/${own[2]}`;
  return specifier.startsWith('@')
    ? specifier.split('/').slice(0, 2).join('/')
    : (specifier.split('/')[0] ?? '');
}

/** The room of a file or an import's target: `kit`, `router`, `subgraphs/task`; null for packages and files of the root. */
export function roomOf(path: string): string | null {
  const [room, second] = path.split('/');
  if (room === 'subgraphs') return `subgraphs/${second}`;
  return room && ['schema', 'prisma', 'kit', 'router', 'dev', 'tests', 'bench'].includes(room) ? room : null;
}
