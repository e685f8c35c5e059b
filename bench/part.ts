/** A part of the benchmark: what it is given, and what it gives back. */
import type { Stops } from '@taskflow/dev/stops';
import type { Schedule } from './load.ts';

export interface PartContext {
  /** For files of this run; gone afterwards. */
  dir: string;
  options: Options;
  stops: Stops;
  /** What happens now, for the person who waits. */
  say(text: string): void;
}

export interface Options {
  rounds: number;
  seconds: number;
  /** Of the load generator, at gateways. */
  connections: number;
  /** The router's: names of operations; empty is all of them. */
  operations: readonly string[];
  /** The router's: names of contenders; empty is all of them. */
  gateways: readonly string[];
  peers: boolean;
  /** Rows of the table of tasks, and the organisations that they belong to. */
  tasks: number;
  tenants: number;
  /** Mutations a second while frames are timed. */
  rate: number;
  logins: number;
  listeners: number;
}

export interface PartResult {
  /** For `--json`. */
  result: unknown;
  /** Markdown, in the order in which it is read. */
  tables: readonly string[];
}

export interface Part {
  name: string;
  about: string;
  /** Loaded when it is asked for: half of TaskFlow hangs on it. */
  load(): Promise<{ run(context: PartContext): Promise<PartResult> }>;
}

/** Interleaved rounds; both contenders of one process are warmed up twice as long, or the first one is the colder. */
export function scheduleOf({ rounds, seconds }: Options, concurrency: number, warmup = 1): Schedule {
  return { rounds, seconds, warmupSeconds: warmup * seconds, concurrency };
}
