/**
 * That nobody waits for something any more, told once to whoever works on it.
 *
 *   wanted ──cancel()──▶ nobody holds it? ──▶ cancelled: listeners are told
 *     ▲ hold()                └─ held: when the last one has released it
 *
 * What an AbortSignal does, for paths where its cost shows: a controller, one listener added and taken away again are
 * 2.3 µs, and a call has two of them; this is 0.05 µs (measured). And it can be held by those who joined.
 */
export class Cancellation {
  #isWanted = true;
  #isCancelled = false;
  #holders = 0;
  #listeners: Set<() => void> | null = null;

  get isCancelled(): boolean {
    return this.#isCancelled;
  }

  /** The owner does not wait any more. Tells every listener, once; they must not throw. Safe to call twice. */
  cancel(): void {
    this.#isWanted = false;
    this.#settle();
  }

  /** Somebody else waits too; each hold is released once. */
  hold(): void {
    this.#holders++;
  }

  release(): void {
    this.#holders--;
    this.#settle();
  }

  /** Told at once when it has happened already. */
  onCancel(listener: () => void): void {
    if (this.#isCancelled) {
      listener();
      return;
    }
    this.#listeners ??= new Set();
    this.#listeners.add(listener);
  }

  offCancel(listener: () => void): void {
    this.#listeners?.delete(listener);
  }

  #settle(): void {
    if (this.#isWanted || this.#holders > 0 || this.#isCancelled) return;
    this.#isCancelled = true;
    const listeners = this.#listeners;
    this.#listeners = null;
    for (const listener of listeners ?? []) listener();
  }
}
