import { type Quota, quotaIn } from '@taskflow/kit/quota';
import type { Tenant } from '@taskflow/kit/tenant-pool';
import { type Database, sqlOf } from './database.ts';

export function usageQueries(database: Database) {
  return {
    members: (tenant: Tenant): Promise<Quota> =>
      database.read(tenant, (tx) => quotaIn(sqlOf(tx), tenant.orgId).read()),

    /** How many members there are, by counting: for comparing with the counter. */
    async countMembers(tenant: Tenant): Promise<number> {
      const [row] = await database.read(tenant, (tx) =>
        sqlOf(tx).query<{ count: number }>(
          `select count(*)::int as count from members where org_id = $1::uuid and status <> 'REMOVED'`,
          [tenant.orgId],
        ),
      );
      return row?.count ?? 0;
    },
  };
}
