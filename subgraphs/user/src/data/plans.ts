import type { PlanClaim } from '@taskflow/kit/identity';
import type { Sql, Tenant } from '@taskflow/kit/tenant-pool';
import { type Database, sqlOf } from './database.ts';

const MS = (column: string) => `(extract(epoch from ${column}) * 1000)::float8`;

/** What this service knows of an organisation's plan, from the facts of org. */
export function planQueries(database: Database) {
  return {
    /** Null while nothing was told yet. */
    async find(tenant: Tenant): Promise<PlanClaim | null> {
      const [row] = await database.read(tenant, (tx) =>
        sqlOf(tx).query<PlanClaim>(
          `select p.name, ${MS('p.starts_at')} as from, ${MS('p.ends_at')} as until, p.version,
               p.api_calls_allowed as calls, p.api_calls_allowed_otherwise as otherwise
             from organization_plans p where p.org_id = $1::uuid`,
          [tenant.orgId],
        ),
      );
      return row ?? null;
    },
  };
}

export function plansIn(sql: Sql, orgId: string) {
  return {
    /** Keeps the newest version; false when this is not newer. */
    async note({ name, from, until, calls, otherwise, version }: PlanClaim): Promise<boolean> {
      const noted = await sql.query(
        `insert into organization_plans as p
             (org_id, name, starts_at, ends_at, api_calls_allowed, api_calls_allowed_otherwise, version)
           values ($1::uuid, $2, $3::timestamptz, $4::timestamptz, $5::int, $6::int, $7::int)
           on conflict (org_id) do update set name = excluded.name, starts_at = excluded.starts_at,
             ends_at = excluded.ends_at, api_calls_allowed = excluded.api_calls_allowed,
             api_calls_allowed_otherwise = excluded.api_calls_allowed_otherwise, version = excluded.version
             where p.version < excluded.version
           returning p.version`,
        [
          ...[
            orgId,
            name,
            new Date(from).toISOString(),
            until === null ? null : new Date(until).toISOString(),
          ],
          ...[calls, otherwise, version],
        ],
      );
      return noted.length > 0;
    },
  };
}
