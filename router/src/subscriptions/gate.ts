/** Lets at most `max` pieces of work run at once; the others wait their turn, first come first served. */
export interface Gate {
  run<T>(work: () => Promise<T>): Promise<T>;
  status(): { running: number; waiting: number };
}

export function createGate(max: number): Gate {
  const waiting: (() => void)[] = [];
  let running = 0;
  return {
    async run(work) {
      // The place of a finished piece is handed over, so that a newcomer cannot slip in before the queue.
      if (running < max) running++;
      else await new Promise<void>((resolve) => waiting.push(resolve));
      try {
        return await work();
      } finally {
        const next = waiting.shift();
        if (next) next();
        else running--;
      }
    },
    status: () => ({ running, waiting: waiting.length }),
  };
}
