import { type Quota, quotaIn } from '@taskflow/kit/quota';
import type { Tenant } from '@taskflow/kit/tenant-pool';
import { type Database, sqlOf } from './database.ts';

export function usageQueries(database: Database) {
  return {
    tasks: (tenant: Tenant): Promise<Quota> =>
      database.read(tenant, (tx) => quotaIn(sqlOf(tx), tenant.orgId).read()),

    /** How many tasks there are, by counting: for comparing with the counter. */
    async countTasks(tenant: Tenant): Promise<number> {
      const [row] = await database.read(tenant, (tx) =>
        sqlOf(tx).query<{ count: number }>(
          'select count(*)::int as count from tasks where org_id = $1::uuid and deleted_at is null',
          [tenant.orgId],
        ),
      );
      return row?.count ?? 0;
    },
  };
}
