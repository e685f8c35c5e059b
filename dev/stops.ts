/**
 * What has to be stopped, in the reverse order of starting. One list per run.
 *
 *   open ──run()──▶ stopping: a part that finishes starting only now is stopped at once
 */
export interface Stops {
  /** Registers a part that has started. */
  add(name: string, stop: () => Promise<unknown>): Promise<void>;
  /** Throws once stopping has begun: called between the steps of a start, so that a start can be given up. */
  checkpoint(): void;
  isStopping(): boolean;
  /** Stops everything, last first; goes on after a failure and reports it. Safe to call twice. */
  run(): Promise<void>;
}

/** Longer than the ordered drain of a service (20 s): only a part that hangs is left behind. */
const PART_DEADLINE_MS = 25_000;

export function createStops(report: (text: string) => void): Stops {
  const parts: { name: string; stop: () => Promise<unknown> }[] = [];
  let running: Promise<void> | null = null;

  async function stopOne({ name, stop }: (typeof parts)[number]): Promise<void> {
    const { promise: deadline, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error('no end in time')), PART_DEADLINE_MS);
    try {
      await Promise.race([stop(), deadline]);
    } catch (error) {
      report(`${name} did not stop cleanly: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      clearTimeout(timer);
    }
  }

  async function unwind(): Promise<void> {
    for (let part = parts.pop(); part; part = parts.pop()) await stopOne(part);
  }

  return {
    async add(name, stop) {
      parts.push({ name, stop });
      if (running) await unwind();
    },
    checkpoint() {
      if (running) throw new Error('stopped while starting');
    },
    isStopping: () => running !== null,
    run() {
      running ??= unwind();
      return running;
    },
  };
}
