/**
 * Work that a request causes and does not wait for, so that the time of its answer says nothing about it: whether an address
 * has an account. One piece after the other; `stop` waits for what has begun and what waits.
 *
 * It lives in memory: what a crash takes away has to be asked for again.
 */
import type { Log } from '@taskflow/kit/log';

/** A flood beyond it is dropped: whoever means it asks again. Each piece is a closure and an address. */
const WAITING_MAX = 1_000;

export type Afterwards = ReturnType<typeof createAfterwards>;

export function createAfterwards(log: Log) {
  let waiting = 0;
  let last: Promise<void> = Promise.resolve();

  async function attempt(what: string, requestId: string, work: () => Promise<void>): Promise<void> {
    try {
      // The answer goes out first.
      await new Promise((resolve) => setImmediate(resolve));
      await work();
    } catch (error) {
      log.error({ err: error, requestId, what }, 'what was to be done after the answer has failed');
    } finally {
      waiting -= 1;
    }
  }

  return {
    do(what: string, requestId: string, work: () => Promise<void>): void {
      if (waiting >= WAITING_MAX) {
        log.warn({ requestId, what }, 'too much is to be done after answers; this is not done');
        return;
      }
      waiting += 1;
      last = last.then(() => attempt(what, requestId, work));
    },
    stop: () => last,
  };
}
