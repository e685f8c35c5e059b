/**
 * What a loop in the background needs: a bell that ends its rest, and a memory for its troubles, so that an outage of
 * an hour makes two lines in the log.
 */
import type { Log } from './log.ts';

export interface Bell {
  /** Wakes all who wait; when nobody does, the next to wait does not rest at all. */
  ring(): void;
  /** True when rung, false after `ms`. */
  wait(ms: number): Promise<boolean>;
}

export function createBell(): Bell {
  const waiting = new Set<() => void>();
  let wasRung = false;
  return {
    ring() {
      wasRung = waiting.size === 0;
      for (const wake of waiting) wake();
      waiting.clear();
    },
    wait(ms) {
      if (wasRung) {
        wasRung = false;
        return Promise.resolve(true);
      }
      return new Promise((resolve) => {
        const wake = () => {
          clearTimeout(timer);
          resolve(true);
        };
        const timer = setTimeout(() => {
          waiting.delete(wake);
          resolve(false);
        }, ms);
        waiting.add(wake);
      });
    },
  };
}

export interface Troubles {
  /** What `attempt` resolves to, or undefined when it rejects. The first failure is logged, and the recovery. */
  watch<T>(activity: string, attempt: () => Promise<T>): Promise<T | undefined>;
  /** Whether the activity failed last time. */
  has(activity: string): boolean;
}

export function createTroubles(log: Log): Troubles {
  const troubled = new Set<string>();
  return {
    async watch(activity, attempt) {
      try {
        const result = await attempt();
        if (troubled.delete(activity)) log.info({ activity }, 'works again');
        return result;
      } catch (error) {
        if (!troubled.has(activity))
          log.warn({ activity, err: error }, 'failed; trying again until it works');
        troubled.add(activity);
        return undefined;
      }
    },
    has: (activity) => troubled.has(activity),
  };
}

/**
 * Repeats `work` as long as it is started, `everyMs` after the last one has ended and for the first time at once. A failure
 * is logged once and does not end it. Safe to start and stop twice; `stop` finishes what is running.
 */
export function createRound(log: Log, activity: string, everyMs: number, work: () => Promise<unknown>) {
  const troubles = createTroubles(log);
  const bell = createBell();
  let running: Promise<void> | null = null;
  let isStopping = false;
  async function run(): Promise<void> {
    while (!isStopping) {
      await troubles.watch(activity, work);
      if (!isStopping) await bell.wait(everyMs);
    }
  }
  return {
    start(): void {
      running ??= run();
    },
    async stop(): Promise<void> {
      isStopping = true;
      bell.ring();
      await running;
    },
  };
}
