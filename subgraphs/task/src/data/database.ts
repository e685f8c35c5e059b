import { PrismaPg } from '@prisma/adapter-pg';
import { type DatabaseOptions, openDatabase, sqlOn } from '@taskflow/kit/database';
import { tenantSafe } from '@taskflow/kit/tenant-pool';
import { type Prisma, PrismaClient } from '../generated/prisma/client.ts';

export type Tx = Prisma.TransactionClient;
export type Database = ReturnType<typeof createDatabase>;

/** Tables without org_id, reached by the system role only. */
export const unscopedTables = [
  'relay_lease', // who relays
];

/** The one door to PostgreSQL. */
export const createDatabase = (options: DatabaseOptions) =>
  openDatabase<Tx>(options, (pool) => {
    const client = new PrismaClient({ adapter: new PrismaPg(pool) });
    // The extension changes what findUnique does, not the shape of the client.
    const plain = client.$extends(tenantSafe) as unknown as PrismaClient;
    return {
      plain,
      transaction: (work) => plain.$transaction(work),
      disconnect: () => client.$disconnect(),
    };
  });

export const sqlOf = sqlOn;
