import { PrismaPg } from '@prisma/adapter-pg';
import {
  createSystemPool,
  type Sql,
  type Tenant,
  TenantPool,
  tenantSafe,
  transaction,
  withTenant,
} from '@taskflow/kit/tenant-pool';
import { type Prisma, PrismaClient } from '../generated/prisma/client.ts';

export type Tx = Prisma.TransactionClient;
export type Database = ReturnType<typeof createDatabase>;

/** Tables without org_id, reached by the system role only; a row of each belongs to no tenant. */
export const unscopedTables = [
  'relay_lease', // who relays
  'accounts', // a person, who may be a member of several organisations
  'signing_keys', // the service's own
  'login_attempts', // counted before anybody is signed in, for unknown addresses as well
];

export interface DatabaseOptions {
  url: string;
  systemUrl: string;
  poolSize: number;
  systemPoolSize: number;
  /** Sees the text of every statement that serves a request. */
  onStatement?: ((text: string) => void) | undefined;
}

/**
 * The one door to PostgreSQL. `read` and `transaction` run `work` for one tenant: the pool puts the tenant into the
 * session of every statement, row-level security holds it there. `job` runs across that border, for the named jobs of
 * prisma/user/migrations (register, invite-accept) and nothing else: their statements name the organisation themselves.
 */
export function createDatabase(options: DatabaseOptions) {
  const { url, systemUrl, poolSize, systemPoolSize, onStatement } = options;
  const pool = new TenantPool({
    connectionString: url,
    max: poolSize,
    ...(onStatement ? { onStatement } : {}),
  });
  const system = createSystemPool({ connectionString: systemUrl, max: systemPoolSize });
  const client = new PrismaClient({ adapter: new PrismaPg(pool) }).$extends(tenantSafe);
  let onCommit = () => {};

  return {
    pool,
    system,
    /** Called after each commit; the relay looks for new facts at once. */
    onCommit(listener: () => void) {
      onCommit = listener;
    },
    read: <T>(tenant: Tenant, work: (tx: Tx) => Promise<T>): Promise<T> =>
      withTenant(tenant, async () => await work(client as unknown as Tx)),
    transaction: async <T>(tenant: Tenant, work: (tx: Tx) => Promise<T>): Promise<T> => {
      const result = await withTenant(
        tenant,
        async () => await client.$transaction((tx) => work(tx as unknown as Tx)),
      );
      onCommit();
      return result;
    },
    /** One transaction of the system role. Keep it short: it holds one of few connections. */
    job: async <T>(work: (sql: Sql) => Promise<T>): Promise<T> => {
      const result = await transaction(system, work);
      onCommit();
      return result;
    },
    ping: () => pool.ping(),
    async close() {
      await client.$disconnect();
      await Promise.all([pool.end(), system.end()]);
    },
  };
}

/** The kit's plumbing (outbox, inbox, idempotency) writes through the same transaction as the use case. */
export const sqlOf = (tx: Tx): Sql => ({
  query: (text, values = []) => tx.$queryRawUnsafe(text, ...values),
});
