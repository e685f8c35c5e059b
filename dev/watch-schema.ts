/**
 * Part of `npm run dev`: composes the supergraph again and renews the generated code whenever an SDL file or a
 * database schema is saved. The router swaps the new supergraph in. The subgraphs read their SDL at start and
 * watch the modules that they import: touching schema/sdl.ts, which all of them import, restarts them.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { utimesSync, watch } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');

/** An editor saves in several steps (write, rename); one composition follows the last. */
const SETTLE_MS = 150;

/** Written by the composition itself. */
const COMPOSED = new Set(['supergraph.graphql', 'api.graphql']);

let timer: NodeJS.Timeout | undefined;
let running: Promise<void> = Promise.resolve();

function schedule(): void {
  clearTimeout(timer);
  timer = setTimeout(() => {
    running = running.then(renew);
  }, SETTLE_MS);
}

async function renew(): Promise<void> {
  // In processes of their own: a broken SDL file ends them and not the watch, and they say what is wrong.
  if (!(await succeeds('schema/compose.ts')) || !(await succeeds('dev/generate.ts'))) return;
  const now = new Date();
  utimesSync(join(root, 'schema/sdl.ts'), now, now);
}

async function succeeds(script: string): Promise<boolean> {
  const child = spawn(process.execPath, [join(root, script)], { cwd: root, stdio: 'inherit' });
  const [code] = await once(child, 'close');
  return code === 0;
}

watch(join(root, 'schema'), (_, file) => {
  if (file?.endsWith('.graphql') && !COMPOSED.has(file)) schedule();
});
watch(join(root, 'prisma'), { recursive: true }, (_, file) => {
  if (file?.endsWith('schema.prisma')) schedule();
});
