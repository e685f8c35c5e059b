import { type Quota, quotaIn } from '@taskflow/kit/quota';
import type { Tenant } from '@taskflow/kit/tenant-pool';
import { type Database, sqlOf } from './database.ts';

export function usageQueries(database: Database) {
  return {
    projects: (tenant: Tenant): Promise<Quota> =>
      database.read(tenant, (tx) => quotaIn(sqlOf(tx), tenant.orgId).read()),

    /** Calls of the present calendar month (UTC), as far as they have come here. */
    async apiCalls(tenant: Tenant): Promise<number> {
      const [row] = await database.read(tenant, (tx) =>
        sqlOf(tx).query<{ calls: number }>(
          `select coalesce(sum(calls), 0)::float8 as calls from api_call_counts
             where org_id = $1::uuid and month = date_trunc('month', now() at time zone 'UTC')::date`,
          [tenant.orgId],
        ),
      );
      return row?.calls ?? 0;
    },

    /** The counter beside what there is; see quotaIn.compare. */
    compare: (tenant: Tenant, options: { isRepair: boolean }): Promise<{ used: number; counted: number }> =>
      database.transaction(tenant, async (tx) => {
        const sql = sqlOf(tx);
        const count = async () => {
          const [row] = await sql.query<{ count: number }>(
            `select count(*)::int as count from projects where org_id = $1::uuid`,
            [tenant.orgId],
          );
          return row?.count ?? 0;
        };
        return quotaIn(sql, tenant.orgId).compare(count, options);
      }),
  };
}
