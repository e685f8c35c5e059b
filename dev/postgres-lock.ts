/** postmaster.pid: who serves a data directory, and whether that is still true. */
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** The living server of a data directory, or null. */
export function findServerOn(data: string): { pid: number; port: number } | null {
  const lock = read(data);
  return lock && isServer(lock.pid, data) ? lock : null;
}

/**
 * Removes the lock of a server that is gone. PostgreSQL does so itself, unless another process has got the number since
 * (in a container it nearly always has): then it would refuse to start.
 */
export async function removeStaleLock(data: string): Promise<void> {
  const lock = read(data);
  if (lock && !isServer(lock.pid, data)) rmSync(join(data, 'postmaster.pid'), { force: true });
}

/** Its lines: process id, data directory, start time, port, … (PostgreSQL's miscadmin.h). */
function read(data: string): { pid: number; port: number } | null {
  try {
    const lines = readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n');
    return { pid: Math.abs(Number(lines[0])), port: Number(lines[3]) };
  } catch {
    return null;
  }
}

function isServer(pid: number, data: string): boolean {
  return Number.isInteger(pid) && pid > 0 && commandOf(pid).includes(data);
}

/** The command line of a living process; '' when there is none. */
function commandOf(pid: number): string {
  try {
    if (process.platform === 'linux') return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    return execFileSync('ps', ['-o', 'command=', '-p', `${pid}`], { encoding: 'utf8' });
  } catch {
    return '';
  }
}
