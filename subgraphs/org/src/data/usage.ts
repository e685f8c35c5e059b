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

    /** How many projects there are, by counting: for comparing with the counter. */
    async countProjects(tenant: Tenant): Promise<number> {
      const [row] = await database.read(tenant, (tx) =>
        sqlOf(tx).query<{ count: number }>(
          'select count(*)::int as count from projects where org_id = $1::uuid',
          [tenant.orgId],
        ),
      );
      return row?.count ?? 0;
    },
  };
}
