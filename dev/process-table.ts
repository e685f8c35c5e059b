/** The machine's processes: from /proc where there is one (a bare Debian has no `ps`), from `ps` elsewhere. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';

interface Row {
  pid: number;
  session: number;
  /** One letter; Z has ended and was not collected yet. */
  state: string;
}

/** False for a zombie as well: nothing runs in it. */
export function isAlive(pid: number): boolean {
  return list().some((row) => row.pid === pid);
}

/** The living processes of a session. */
export function findMembers(session: number): number[] {
  return list().flatMap((row) => (row.session === session ? [row.pid] : []));
}

function list(): Row[] {
  const rows = existsSync('/proc/self/stat') ? fromProc() : fromPs();
  return rows.filter((row) => !row.state.startsWith('Z'));
}

function fromProc(): Row[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      // pid (command) state parent group session …; the command may hold spaces and brackets
      const text = readFileSync(`/proc/${name}/stat`, 'utf8');
      const [state = '', , , session] = text.slice(text.lastIndexOf(')') + 2).split(' ');
      return [{ pid: Number(name), session: Number(session), state }];
    } catch {
      return []; // it ended while we looked
    }
  });
}

function fromPs(): Row[] {
  const { stdout } = spawnSync('ps', ['-eo', 'pid=,sess=,stat='], { encoding: 'utf8' });
  return stdout.split('\n').flatMap((line) => {
    const [pid, session, state] = line.trim().split(/\s+/);
    return pid && session && state ? [{ pid: Number(pid), session: Number(session), state }] : [];
  });
}
