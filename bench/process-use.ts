/** What a process has used so far, from /proc: null where the system has none. */
import { readFileSync } from 'node:fs';

/** Of /proc/PID/stat; 100 a second on every Linux that Node runs on. */
const CLOCK_TICK_MS = 10;

/** CPU time of all its threads, collecting garbage and compiling included. */
export function cpuMsOf(pid: number): number | null {
  const stat = readProc(pid, 'stat');
  // The second field is the program's name in parentheses, which may hold anything.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [user, system] = [Number(fields?.[11]), Number(fields?.[12])];
  return Number.isFinite(user + system) ? (user + system) * CLOCK_TICK_MS : null;
}

/** Resident memory at its largest so far. */
export function peakMemoryMbOf(pid: number): number | null {
  const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readProc(pid, 'status') ?? '');
  return peak ? Number(peak[1]) / 1024 : null;
}

function readProc(pid: number, file: string): string | null {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return null;
  }
}
