import { createDatabase } from './database.ts';
import { createOrgStore, type OrgStore } from './store.ts';

/** Of the service's configuration, what the store needs. */
interface StoreConfig {
  readonly ORG_DATABASE_URL: string;
  readonly ORG_SYSTEM_DATABASE_URL: string;
}

/** One connection of each kind is enough for a command. */
const POOL_SIZE = 1;

/** The store for a command of the operator, outside of the service. */
export function openStore(config: StoreConfig): { store: OrgStore; close(): Promise<void> } {
  const database = createDatabase({
    url: config.ORG_DATABASE_URL,
    systemUrl: config.ORG_SYSTEM_DATABASE_URL,
    poolSize: POOL_SIZE,
    systemPoolSize: POOL_SIZE,
  });
  return { store: createOrgStore(database), close: database.close };
}
