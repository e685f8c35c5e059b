/** Tests wait for conditions, never for a time to pass. */
const PAUSE_MS = 10;
const DEADLINE_MS = 15_000;

/** What `look` finds as soon as it is neither null, undefined nor false; a failure that says what was waited for. */
export async function until<T>(
  what: string,
  look: () => Promise<T | null | undefined | false> | T | null | undefined | false,
  deadlineMs: number = DEADLINE_MS,
): Promise<T> {
  const deadline = performance.now() + deadlineMs;
  let lastError: unknown;
  while (performance.now() < deadline) {
    try {
      const found = await look();
      if (found !== null && found !== undefined && found !== false) return found;
    } catch (error) {
      lastError = error;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  throw new Error(`waited ${deadlineMs} ms in vain for ${what}`, { cause: lastError });
}
