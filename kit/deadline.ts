/**
 * How long the running work may still take, known to whatever it awaits.
 *
 *   call with deadlineMs ─▶ withDeadline(…) ─┬─ SQL: what is left as the statement's timeout     statement-deadline.ts
 *                                            ├─ time over, or the caller of a read has left: nothing new is begun
 *                                            └─ the answer to a read does not wait any longer    service-http.ts
 *
 * A duration, counted from the arrival of the call: no two clocks have to agree. A change that has begun ends by its
 * statements' time-outs and is rolled back; it is never left half done, and a caller who leaves does not end it.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { Cancellation } from './cancellation.ts';

export class Deadline {
  /** As performance.now() tells it. */
  readonly at: number;
  /** Cancelled when whoever asked does not wait any more. */
  readonly cancellation = new Cancellation();

  constructor(ms: number = Number.POSITIVE_INFINITY) {
    this.at = performance.now() + ms;
  }

  get leftMs(): number {
    return this.at - performance.now();
  }

  /** Throws a DeadlineError when nothing new should be begun. */
  check(): void {
    if (this.cancellation.isCancelled) throw new DeadlineError('the caller has left');
    if (this.leftMs <= 0) throw new DeadlineError('the deadline of the call has passed');
  }
}

/** The client is told TIMEOUT (errors.ts). */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
}

const deadlines = new AsyncLocalStorage<Deadline>();

export function withDeadline<T>(deadline: Deadline, work: () => T): T {
  return deadlines.run(deadline, work);
}

/** Undefined outside of calls: events and jobs have their own measure. */
export function currentDeadline(): Deadline | undefined {
  return deadlines.getStore();
}
