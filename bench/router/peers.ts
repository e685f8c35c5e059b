/**
 * The peers' own dependencies, installed from their own lockfile when they are first measured: half a gigabyte that
 * nobody else needs.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const dir = join(import.meta.dirname, '../peers');
const STAMP = join(dir, 'node_modules/.installed-lockfile');

/** False when they could not be installed; what npm said of it goes to `say`. */
export async function installPeers(say: (text: string) => void): Promise<boolean> {
  const lockfile = readFileSync(join(dir, 'package-lock.json'), 'utf8');
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === lockfile) return true;
  say('installing the peers (once, about 550 MB)');
  // Their install scripts build and fetch what is not measured here.
  const npm = spawn('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: dir,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [code] = await once(npm, 'close');
  if (code !== 0) return false;
  writeFileSync(STAMP, lockfile);
  return true;
}
