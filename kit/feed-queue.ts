/**
 * What one subscriber has not taken yet, bounded, as an async iterator.
 *
 *   push ──▶ [ items ] ──▶ next()           a push that does not fit is refused: the caller decides what then
 *   end() lets what is queued be taken; return() ends at once, also while next() waits
 *
 * A class of its own and never an async generator: the `return()` of one waits for the pending `next()`, and on a
 * quiet feed that is for ever.
 */
export interface QueueLimits {
  itemsMax: number;
  bytesMax: number;
}

export class FeedQueue<T> implements AsyncIterableIterator<T, undefined> {
  readonly #limits: QueueLimits;
  readonly #onEnd: () => void;
  #items: { item: T; bytes: number }[] = [];
  #bytes = 0;
  #waiting: ((result: IteratorResult<T, undefined>) => void)[] = [];
  #onDrained: (() => void) | null = null;
  #phase: 'open' | 'ending' | 'ended' = 'open';

  /** `onEnd` is called once, as soon as nothing more can be pushed. */
  constructor(limits: QueueLimits, onEnd: () => void) {
    this.#limits = limits;
    this.#onEnd = onEnd;
  }

  get isOpen(): boolean {
    return this.#phase === 'open';
  }

  get isEmpty(): boolean {
    return this.#items.length === 0;
  }

  /** False, and nothing queued, when it does not fit. A single item always fits into an empty queue. */
  push(item: T, bytes: number): boolean {
    if (this.#phase !== 'open') return true;
    const taker = this.#waiting.shift();
    if (taker) {
      taker({ done: false, value: item });
      return true;
    }
    const isFull = this.#items.length >= this.#limits.itemsMax || this.#bytes + bytes > this.#limits.bytesMax;
    if (isFull && this.#items.length > 0) return false;
    this.#items.push({ item, bytes });
    this.#bytes += bytes;
    return true;
  }

  /** Resolves when everything has been taken, or the queue has ended. For one caller at a time. */
  drained(): Promise<void> {
    if (this.isEmpty || this.#phase !== 'open') return Promise.resolve();
    return new Promise((resolve) => {
      this.#onDrained = resolve;
    });
  }

  /** Nothing can be pushed any more. */
  end(): void {
    if (this.#phase !== 'open') return;
    this.#phase = 'ending';
    if (this.isEmpty) this.#finish();
    this.#onDrained?.();
    this.#onEnd();
  }

  next(): Promise<IteratorResult<T, undefined>> {
    const next = this.#items.shift();
    if (next) {
      this.#bytes -= next.bytes;
      if (this.isEmpty) {
        if (this.#phase === 'ending') this.#finish();
        this.#onDrained?.();
        this.#onDrained = null;
      }
      return Promise.resolve({ done: false, value: next.item });
    }
    if (this.#phase !== 'open') return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.#clear();
    this.end();
    this.#finish();
    return Promise.resolve({ done: true, value: undefined });
  }

  throw(error: unknown): Promise<IteratorResult<T, undefined>> {
    void this.return();
    return Promise.reject(error);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  #clear(): void {
    this.#items = [];
    this.#bytes = 0;
  }

  #finish(): void {
    this.#phase = 'ended';
    for (const resolve of this.#waiting.splice(0)) resolve({ done: true, value: undefined });
  }
}
