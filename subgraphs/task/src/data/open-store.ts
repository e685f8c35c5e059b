import { createDatabase } from './database.ts';
import { createTaskStore, type TaskStore } from './store.ts';

/** Of the service's configuration, what the store needs. */
interface StoreConfig {
  readonly TASK_DATABASE_URL: string;
  readonly TASK_SYSTEM_DATABASE_URL: string;
}

/** One connection of each kind is enough for a command. */
const POOL_SIZE = 1;

/** The store for a command of the operator, outside of the service. */
export function openStore(config: StoreConfig): { store: TaskStore; close(): Promise<void> } {
  const database = createDatabase({
    url: config.TASK_DATABASE_URL,
    systemUrl: config.TASK_SYSTEM_DATABASE_URL,
    poolSize: POOL_SIZE,
    systemPoolSize: POOL_SIZE,
  });
  return { store: createTaskStore(database), close: database.close };
}
