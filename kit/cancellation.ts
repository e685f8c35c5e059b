/**
 * That nobody waits for something any more, told once to whoever works on it.
 *
 * What an AbortSignal does, for paths where its cost shows: a controller, one listener added and taken away again are
 * 2.3 µs, and a call has two of them; this is 0.05 µs (measured).
 */
export class Cancellation {
  #isCancelled = false;
  #listeners: Set<() => void> | null = null;

  get isCancelled(): boolean {
    return this.#isCancelled;
  }

  /** Tells every listener, once; they must not throw. Safe to call twice. */
  cancel(): void {
    if (this.#isCancelled) return;
    this.#isCancelled = true;
    const listeners = this.#listeners;
    this.#listeners = null;
    for (const listener of listeners ?? []) listener();
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
}
