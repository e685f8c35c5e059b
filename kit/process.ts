/**
 * One process from its first line to its last: build, start, wait for a signal, stop in order, exit.
 *
 * exit codes   0  stopped on request      1  could not start (one message on stderr)      2  a bug ended it
 */
import { ConfigError } from './config.ts';
import type { Log } from './log.ts';

export interface Service {
  /** Where it listens, known once `start` has resolved. */
  readonly url: string;
  start(): Promise<void>;
  /** Ordered and bounded; safe to call twice. */
  stop(): Promise<void>;
}

/** Longer than the ordered drain of a service (10 s for requests in flight), so that only a hang reaches it. */
const STOP_DEADLINE_MS = 20_000;

/** Runs one service as this process. `create` may throw a ConfigError, which becomes the one message. */
export async function runProcess(name: string, create: () => Service): Promise<void> {
  let service: Service;
  try {
    service = create();
    stopOnSignals(name, service);
    await service.start();
  } catch (error) {
    process.stderr.write(`${explain(name, error)}\n`);
    process.exit(1);
  }
  process.stdout.write(`${name} listens on ${service.url}\n`);
}

/** One Ctrl-C may arrive twice at once: from the terminal, and from npm, which passes on what it got. */
const SAME_SIGNAL_MS = 500;

function stopOnSignals(name: string, service: Service): void {
  let stoppingSince: number | null = null;
  const stop = async () => {
    if (stoppingSince !== null) {
      if (performance.now() - stoppingSince < SAME_SIGNAL_MS) return;
      process.exit(1); // the second signal is a person who will not wait
    }
    stoppingSince = performance.now();
    setTimeout(() => process.exit(1), STOP_DEADLINE_MS).unref();
    await service.stop().catch((error) => process.stderr.write(`${explain(name, error)}\n`));
    process.exit(0);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

function explain(name: string, error: unknown): string {
  if (error instanceof ConfigError) return error.message;
  return `${name} could not start: ${error instanceof Error ? error.message : String(error)}`;
}

/** A database that restarts is back within seconds; one that is not there after a minute was configured wrongly. */
const REACHABLE_DEADLINE_MS = 60_000;
const REACHABLE_PAUSE_MS = 500;

/** Waits until `ping` resolves; says so once, and throws its last error after a minute. */
export async function untilReachable(what: string, ping: () => Promise<unknown>, log: Log): Promise<void> {
  const deadline = performance.now() + REACHABLE_DEADLINE_MS;
  for (let isFirst = true; ; isFirst = false) {
    try {
      await ping();
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      if (isFirst) log.warn({ err: error }, `${what} cannot be reached; waiting for it`);
      await new Promise((resolve) => setTimeout(resolve, REACHABLE_PAUSE_MS));
    }
  }
}
