import { createTroubles } from '@taskflow/kit/background';
import type { Log } from '@taskflow/kit/log';
import type { Database } from './database.ts';

/** Nothing here is in a hurry; each run takes milliseconds. */
const INTERVAL_MS = 3_600_000;

/** The jobs of the migrations that delete what is over, once an hour. Safe to run in every replica. */
export function createRetention(database: Database, log: Log) {
  const troubles = createTroubles(log);
  let timer: NodeJS.Timeout | null = null;
  let running: Promise<unknown> = Promise.resolve();
  const run = () => {
    running = troubles.watch('session retention', () => deleteExpired(database));
  };
  return {
    start() {
      timer ??= setInterval(run, INTERVAL_MS).unref();
    },
    /** Finishes what is running. */
    async stop() {
      if (timer) clearInterval(timer);
      timer = null;
      await running;
    },
  };
}

/** Deletes what nobody can use any more. */
export async function deleteExpired({ system }: Pick<Database, 'system'>): Promise<void> {
  // Longer than any lock lasts: USER_LOCK_MS is a day at most.
  await system.query(`delete from login_attempts where updated_at < now() - interval '2 days'`);
  // A token that has expired is refused whether it is known or not.
  await system.query('delete from refresh_tokens where expires_at < now()');
  // A week in which one can see what was sent.
  await system.query(`delete from credential_tokens where expires_at < now() - interval '7 days'`);
  // With their parts. The archive cannot be read from this moment on.
  await system.query('delete from data_exports where expires_at < now()');
  // A month in which one can see who was signed in.
  await system.query(`delete from sessions where expires_at < now() - interval '30 days'`);
}
