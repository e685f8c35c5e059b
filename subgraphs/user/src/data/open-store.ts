import { createDatabase } from './database.ts';
import { createUserStore, type UserStore } from './store.ts';

/** Of the service's configuration, what the store needs. */
interface StoreConfig {
  readonly USER_DATABASE_URL: string;
  readonly USER_SYSTEM_DATABASE_URL: string;
  readonly USER_LOCK_FAILURES_MAX: number;
  readonly USER_LOCK_MS: number;
}

/** One connection of each kind is enough for a command. */
const POOL_SIZE = 1;

/** The store for a command of the operator, outside of the service. */
export function openStore(config: StoreConfig): { store: UserStore; close(): Promise<void> } {
  const database = createDatabase({
    url: config.USER_DATABASE_URL,
    systemUrl: config.USER_SYSTEM_DATABASE_URL,
    poolSize: POOL_SIZE,
    systemPoolSize: POOL_SIZE,
  });
  const store = createUserStore(database, {
    failuresMax: config.USER_LOCK_FAILURES_MAX,
    lockMs: config.USER_LOCK_MS,
  });
  return { store, close: database.close };
}
