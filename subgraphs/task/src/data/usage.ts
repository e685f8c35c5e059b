import { type Quota, quotaIn } from '@taskflow/kit/quota';
import type { Tenant } from '@taskflow/kit/tenant-pool';
import { type Database, sqlOf } from './database.ts';

export function usageQueries(database: Database) {
  return {
    tasks: (tenant: Tenant): Promise<Quota> =>
      database.read(tenant, (tx) => quotaIn(sqlOf(tx), tenant.orgId).read()),

    /** The counter beside what there is; see quotaIn.compare. */
    compare: (tenant: Tenant, options: { isRepair: boolean }): Promise<{ used: number; counted: number }> =>
      database.transaction(tenant, async (tx) => {
        const sql = sqlOf(tx);
        const count = async () => {
          const [row] = await sql.query<{ count: number }>(
            `select count(*)::int as count from tasks where org_id = $1::uuid and deleted_at is null`,
            [tenant.orgId],
          );
          return row?.count ?? 0;
        };
        return quotaIn(sql, tenant.orgId).compare(count, options);
      }),
  };
}
