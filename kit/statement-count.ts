/**
 * How many statements a piece of work sends to its database: for the explanation of an answer. Counted where statements
 * leave (TenantPool), for whatever is awaited inside (AsyncLocalStorage); nothing is kept for work that nobody counts.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

const counts = new AsyncLocalStorage<{ statements: number }>();

/** Runs `work` and tells how many statements it has sent, transaction control included. */
export async function countingStatements<T>(
  work: () => Promise<T>,
): Promise<{ result: T; statements: number }> {
  const count = { statements: 0 };
  const result = await counts.run(count, work);
  return { result, statements: count.statements };
}

/** A statement leaves for the database. */
export function noteStatement(): void {
  const count = counts.getStore();
  if (count) count.statements += 1;
}
