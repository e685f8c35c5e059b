import { PrismaPg } from '@prisma/adapter-pg';
import {
  createSystemPool,
  type Sql,
  type Tenant,
  TenantPool,
  tenantSafe,
  withTenant,
} from '@taskflow/kit/tenant-pool';
import { type Prisma, PrismaClient } from '../generated/prisma/client.ts';

export type Tx = Prisma.TransactionClient;
export type Database = ReturnType<typeof createDatabase>;

/** Tables without org_id, reached by the system role only: who relays belongs to no tenant. */
export const unscopedTables = ['relay_lease'];

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
 * session of every statement, row-level security holds it there.
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
