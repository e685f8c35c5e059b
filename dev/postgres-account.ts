/**
 * Who PostgreSQL runs as. It refuses to run as root, so a launcher that is root lends it another account: that of the
 * data where there is data, `postgres` where the machine has one, else `nobody`. No account is ever made.
 */
import { type ChildProcess, execFileSync, type SpawnOptions, spawn } from 'node:child_process';
import { chownSync, existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { PostgresBinaries } from './postgres-binaries.ts';

export interface Account {
  uid: number;
  gid: number;
  /** It cannot enter a folder above the files (a checkout in /root): it gets the one capability that lets it pass. */
  needsPassage: boolean;
}

/** Null when the process is not root and simply runs things as itself. */
export async function findAccount(dir: string, binaries: PostgresBinaries): Promise<Account | null> {
  if (process.getuid?.() !== 0) return null;
  const ids = idsOfData(dir) ?? idsOf('postgres') ?? idsOf('nobody');
  if (!ids)
    throw new Error('PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody');
  const closed = [binaries.postgres, join(dir, 'data')]
    .map((path) => findClosedFolder(path, ids.uid))
    .find(Boolean);
  if (closed && !canLendPassage()) {
    throw new Error(
      `PostgreSQL refuses to run as root, and no other user may enter ${closed}: allow it with chmod o+x`,
    );
  }
  return { ...ids, needsPassage: closed !== undefined };
}

/** Makes the account the owner of a file. */
export function give(path: string, account: Account | null): void {
  if (account) chownSync(path, account.uid, account.gid);
}

export function spawnAs(
  account: Account | null,
  command: string,
  args: readonly string[],
  options: SpawnOptions,
): ChildProcess {
  if (!account) return spawn(command, args, options);
  const { uid, gid } = account;
  if (!account.needsPassage) return spawn(command, args, { ...options, uid, gid });
  return spawn('setpriv', [...passage(uid, gid), command, ...args], options);
}

function passage(uid: number, gid: number): string[] {
  const capability = '+dac_override';
  return [
    `--reuid=${uid}`,
    `--regid=${gid}`,
    '--clear-groups',
    `--inh-caps=${capability}`,
    `--ambient-caps=${capability}`,
    // access(2), with which initdb looks for its programs, sets capabilities aside for all users but root. Not with this.
    '--securebits=+no_setuid_fixup',
  ];
}

function canLendPassage(): boolean {
  try {
    execFileSync('setpriv', [...passage(65_534, 65_534), 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function idsOfData(dir: string): { uid: number; gid: number } | null {
  const data = join(dir, 'data');
  if (!existsSync(data)) return null;
  const { uid, gid } = statSync(data);
  return uid === 0 ? null : { uid, gid };
}

function idsOf(name: string): { uid: number; gid: number } | null {
  const ask = (flag: string) =>
    Number(execFileSync('id', [flag, name], { stdio: ['ignore', 'pipe', 'ignore'] }));
  try {
    return { uid: ask('-u'), gid: ask('-g') };
  } catch {
    return null;
  }
}

/** The first folder above `path` that strangers may not pass through. */
function findClosedFolder(path: string, uid: number): string | undefined {
  const folder = dirname(path);
  const above = folder === path ? undefined : findClosedFolder(folder, uid);
  if (above !== undefined || folder === path) return above;
  const { mode, uid: owner } = statSync(folder);
  return mode & (owner === uid ? 0o100 : 0o001) ? undefined : folder;
}
