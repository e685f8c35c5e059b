import { PrismaPg } from '@prisma/adapter-pg';
import { type DatabaseOptions, openDatabase, sqlOn } from '@taskflow/kit/database';
import { type Sql, tenantSafe, transaction } from '@taskflow/kit/tenant-pool';
import { type Prisma, PrismaClient } from '../generated/prisma/client.ts';

export type Tx = Prisma.TransactionClient;
export type Database = ReturnType<typeof createDatabase>;

/** Tables without org_id, reached by the system role only; a row of each belongs to no tenant. */
export const unscopedTables = [
  'relay_lease', // who relays
  'accounts', // a person, who may be a member of several organisations
  'identities', // who an account is at an OpenID provider
  'signing_keys', // the service's own
  'login_attempts', // counted before anybody is signed in, for unknown addresses as well
];

/**
 * The one door to PostgreSQL. Besides the work of one tenant there is `job`, which runs across that border: for the named
 * jobs of prisma/user/migrations (register, invite-accept) and nothing else. Their statements name the organisation.
 */
export function createDatabase(options: DatabaseOptions) {
  let committed = () => {};
  const database = openDatabase<Tx>(options, (pool) => {
    const client = new PrismaClient({ adapter: new PrismaPg(pool) });
    // The extension changes what findUnique does, not the shape of the client.
    const plain = client.$extends(tenantSafe) as unknown as PrismaClient;
    return {
      plain,
      transaction: (work) => plain.$transaction(work),
      disconnect: () => client.$disconnect(),
    };
  });
  return {
    ...database,
    onCommit(listener: () => void) {
      committed = listener;
      database.onCommit(listener);
    },
    /** One transaction of the system role. Keep it short: it holds one of few connections. */
    job: async <T>(work: (sql: Sql) => Promise<T>): Promise<T> => {
      const result = await transaction(database.system, work);
      committed();
      return result;
    },
  };
}

export const sqlOf = sqlOn;
