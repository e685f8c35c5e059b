/**
 * `npm run audit:http`: Apollo Server's test suite for integrations against the router's HTTP edge, over both paths.
 *
 *   npm ci (this package's own lockfile) ─▶ standard path, every case ─▶ hot path, but for the cases listed in
 *   not-on-the-hot-path.mjs, which are printed with their reasons; a name on the list that no case has is an error
 *
 * An isolated package: the suite wants jest, and brings an Apollo Server of its own version.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import leftOut from './not-on-the-hot-path.mjs';

const { dirname } = import.meta;

function run(command, args) {
  const { status } = spawnSync(command, args, { cwd: dirname, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

/** The tree that npm recorded is the lockfile's: nothing is fetched a second time. */
function isInstalled() {
  const recorded = join(dirname, 'node_modules/.package-lock.json');
  if (!existsSync(recorded)) return false;
  const packages = (file) => JSON.parse(readFileSync(file, 'utf8')).packages;
  const installed = packages(recorded);
  return Object.entries(packages(join(dirname, 'package-lock.json'))).every(
    ([path, { version, optional }]) => path === '' || optional || installed[path]?.version === version,
  );
}

/** The cases of a run by their full names, with their status. */
function jest(file, ...args) {
  const report = join(tmpdir(), `audit-${process.pid}-${file}.json`);
  const bin = join(dirname, 'node_modules/jest/bin/jest.js');
  const output = ['--json', `--outputFile=${report}`];
  run(process.execPath, ['--experimental-vm-modules', '--no-warnings', bin, file, ...output, ...args]);
  const [{ assertionResults }] = JSON.parse(readFileSync(report, 'utf8')).testResults;
  return new Map(assertionResults.map(({ fullName, status }) => [fullName, status]));
}

const count = (cases, wanted) => [...cases.values()].filter((status) => status === wanted).length;
const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

if (!isInstalled())
  run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--no-workspaces', '--loglevel=error']);

const standard = jest('standard-path');
console.log(
  `standard path: ${count(standard, 'passed')} cases passed, ${count(standard, 'pending')} that the suite skips itself (they need graphql 17)`,
);

const names = Object.values(leftOut).flat();
const hot = jest('hot-path', `--testNamePattern=^(?!(?:${names.map(escaped).join('|')})$)`);
for (const [reason, cases] of Object.entries(leftOut)) {
  console.log(`\nleft out of the hot path: ${reason}`);
  for (const name of cases) console.log(`  - ${name.replace('integration tests ', '')}`);
}
const unknown = names.filter((name) => hot.get(name) !== 'pending');
const silent = [...hot].filter(
  ([name, status]) => status === 'pending' && standard.get(name) !== 'pending' && !names.includes(name),
);
console.log(`\nhot path: ${count(hot, 'passed')} cases passed, ${names.length} left out by name`);
if (unknown.length > 0 || silent.length > 0) {
  console.error({
    'on the list, and no case of the suite': unknown,
    'left out without being on the list': silent,
  });
  process.exit(1);
}
