/**
 * What every npm script needs before it runs: the dependencies of the lockfile, and the generated code.
 *
 * Plain JavaScript without dependencies, because the first run happens under whatever Node the machine has
 * and before anything is installed. The script that follows runs on the Node that travels with the
 * repository: npm puts `node_modules/.bin` first on the PATH, and `node` is there once this has ended.
 *
 *   lockfile ≠ installed tree ──▶ npm ci ──▶ generated code stale ──▶ dev/generate.ts
 *
 * Writes to stderr only, and only when it has something to do: `npm run --silent router` keeps its stdout.
 * `node dev/preflight.mjs install` stops before the generated code.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const lock = join(root, '.taskflow', 'preflight.lock');

/** TypeScript is run directly, and Node does so without a flag from this version on. */
const NODE_MAJOR_MIN = 24;

function main() {
  process.chdir(root);
  if (needsInstall()) alone(() => needsInstall() && install());
  const node = findNode();
  if (process.argv[2] === 'install') return;
  if (!isGenerated(node)) alone(() => isGenerated(node) || generate(node));
}

/** The tree npm recorded against the lockfile: no stamp of ours, so that an `npm ci` by hand counts as well. */
function needsInstall() {
  const wanted = JSON.parse(readFileSync('package-lock.json', 'utf8')).packages;
  let installed;
  try {
    installed = JSON.parse(readFileSync('node_modules/.package-lock.json', 'utf8')).packages;
  } catch {
    return true;
  }
  for (const [path, entry] of Object.entries(wanted)) {
    if (!path.startsWith('node_modules/')) continue; // the root and the workspaces
    const found = entry.link ? linkTo(path, entry) : installed[path];
    if (found === undefined ? !entry.optional && !entry.peer : found.version !== entry.version) return true;
  }
  return false;
}

/** A workspace counts as installed when it is there, whoever linked it. */
function linkTo(path, entry) {
  return existsSync(join(root, path)) ? entry : undefined;
}

function install() {
  say('installing the dependencies of package-lock.json, once (about a minute) …');
  const npmCli = process.env.npm_execpath;
  // Neither the caller's loglevel nor NODE_ENV=production may hide an error or leave out the tools.
  const flags = ['--loglevel=error', '--no-audit', '--no-fund', '--include=dev', '--include=optional'];
  // No package of the tree needs its install script, and some would reach for the network.
  const args = ['ci', '--ignore-scripts', ...flags];
  const underNpm = npmCli?.endsWith('.js');
  const command = underNpm ? (process.env.npm_node_execpath ?? process.execPath) : 'npm';
  const { status, error } = spawnSync(command, underNpm ? [npmCli, ...args] : args, {
    stdio: ['ignore', 2, 2], // npm's own summary belongs to stderr too
    shell: !underNpm && process.platform === 'win32',
  });
  if (error || status !== 0) {
    fail(`npm ci ended with ${error?.message ?? `code ${status}`}: the lines above say why.`);
  }
}

/** The Node that `npm run` will find first; on platforms for which none is bundled, the one on the PATH. */
function findNode() {
  const bundled = join(root, 'node_modules', '.bin', 'node');
  if (existsSync(bundled)) {
    const { stdout, status, error } = spawnSync(bundled, ['--version'], { encoding: 'utf8' });
    if (status === 0 && majorOf(stdout) >= NODE_MAJOR_MIN) return bundled;
    fail(`the bundled Node (${bundled}) does not run here: ${error?.message ?? stdout}. It needs glibc.`);
  }
  if (majorOf(process.version) >= NODE_MAJOR_MIN) return process.execPath;
  const here = `${process.platform}-${process.arch}`;
  return fail(
    `Node ${NODE_MAJOR_MIN} or later is needed on ${here} (this is ${process.version}; it is bundled for Linux on x64 and arm64 only).`,
  );
}

function isGenerated(node) {
  return spawnSync(node, ['dev/generate.ts', '--check'], { stdio: 'ignore' }).status === 0;
}

function generate(node) {
  say('generating the database clients and the types …');
  const { status } = spawnSync(node, ['dev/generate.ts'], { stdio: ['ignore', 2, 2] });
  if (status !== 0) fail('the generators failed: the lines above say why.');
}

/** Two scripts started at once in one clone must not both rewrite `node_modules`: the second waits. */
function alone(work) {
  try {
    mkdirSync(dirname(lock), { recursive: true });
    while (!take()) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
  } catch (error) {
    fail(`this folder cannot be written to (${error.message}): own it, or clone into a folder of yours.`);
  }
  try {
    work();
  } finally {
    rmSync(lock, { force: true });
  }
}

function take() {
  try {
    const file = openSync(lock, 'wx');
    writeSync(file, String(process.pid));
    closeSync(file);
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    if (!isAlive(readHolder())) rmSync(lock, { force: true }); // left behind by a killed run
    return false;
  }
}

function readHolder() {
  try {
    return Number(readFileSync(lock, 'utf8'));
  } catch {
    return 0;
  }
}

function isAlive(pid) {
  if (!pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function majorOf(version) {
  return Number(/^v(\d+)/.exec(version)?.[1] ?? 0);
}

function say(text) {
  process.stderr.write(`TaskFlow: ${text}\n`);
}

function fail(text) {
  say(text);
  rmSync(lock, { force: true });
  process.exit(1);
}

main();
