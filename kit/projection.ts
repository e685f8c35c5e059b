/**
 * Waiting for a projection: another subgraph's fact that must already exist but may not have arrived here yet.
 * "Project created, then create a task in it" works because the second call waits for the first one's fact.
 */
import { DomainError } from './errors.ts';

/** How long a referenced id (assignee, project, member) is waited for: the same for absent and foreign ones. */
export const REFERENCE_DEADLINE_MS = 500;
/** How long the caller's own organisation, proved by a verified context, is waited for. */
export const OWN_ORGANISATION_DEADLINE_MS = 2_000;

/** A fact takes some 10 ms from commit to here: the first looks are close together, the later ones spare the database. */
const FIRST_PAUSE_MS = 5;
const PAUSE_MS_MAX = 50;

/**
 * What `lookup` finds as soon as it finds something, or null after the deadline. It looks at once, and one last time
 * at the deadline. Not inside a transaction of repeatable read or above, whose snapshot never changes.
 */
export async function waitFor<T>(lookup: () => Promise<T | null>, deadlineMs: number): Promise<T | null> {
  const deadline = performance.now() + deadlineMs;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX)) {
    const found = await lookup();
    if (found !== null) return found;
    const leftMs = deadline - performance.now();
    if (leftMs <= 0) return null;
    await new Promise((resolve) => setTimeout(resolve, Math.min(pauseMs, leftMs)));
  }
}

/** The caller's own organisation, or what hangs on it; throws SUBGRAPH_UNAVAILABLE, retryable, after 2 s. */
export async function waitForOwnOrganisation<T>(
  lookup: () => Promise<T | null>,
  deadlineMs: number = OWN_ORGANISATION_DEADLINE_MS,
): Promise<T> {
  const found = await waitFor(lookup, deadlineMs);
  if (found !== null) return found;
  throw new DomainError(
    'SUBGRAPH_UNAVAILABLE',
    'Your organisation is still being set up. Please try again.',
    {
      retryable: true,
    },
  );
}
