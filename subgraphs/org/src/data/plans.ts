import type { Sql, Tenant } from '@taskflow/kit/tenant-pool';
import { sqlOf as sqlOfPool } from '@taskflow/kit/tenant-pool';
import type { PlanLimits } from '@taskflow/schema/events';
import { type Database, sqlOf } from './database.ts';

export type PlanName = 'FREE' | 'TEAM' | 'BUSINESS';

/** An organisation's contract. The id is that of the organisation. */
export interface PlanRow {
  id: string;
  name: PlanName;
  startsAt: Date;
  /** Null is for ever. */
  endsAt: Date | null;
  /** As they were told last; null when they were never told. */
  limits: PlanLimits | null;
  otherwise: PlanLimits | null;
  isEndTold: boolean;
  /** Whether now is within the window, and whether it is behind it, by the clock of the database. */
  isInForce: boolean;
  isOver: boolean;
  version: number;
}

/** What each plan allows. */
export type LimitsOfPlans = Readonly<Record<PlanName, PlanLimits>>;

const COLUMNS = `p.org_id as id, p.name, p.starts_at as "startsAt", p.ends_at as "endsAt", p.limits, p.otherwise,
  p.is_end_told as "isEndTold", p.starts_at <= now() and (p.ends_at is null or now() < p.ends_at) as "isInForce",
  coalesce(p.ends_at <= now(), false) as "isOver", p.version`;

/** In milliseconds, as the column has it, and never rounded up: a plan that starts now has started. */
const NOW = `date_trunc('milliseconds', now())`;

export function planQueries(database: Database) {
  const job = sqlOfPool(database.system);
  return {
    findOwn: async (tenant: Tenant): Promise<PlanRow | null> => {
      const [row] = await database.read(tenant, (tx) =>
        sqlOf(tx).query<PlanRow>(`select ${COLUMNS} from organization_plans p where p.org_id = $1::uuid`, [
          tenant.orgId,
        ]),
      );
      return row ?? null;
    },

    /** Organisations whose plan has to be told (again), at most `limit`. For the job plan-telling. */
    async listUntold(limitsOf: LimitsOfPlans, limit: number): Promise<string[]> {
      const rows = await job.query<{ orgId: string }>(
        `select p.org_id as "orgId" from organization_plans p
           where p.limits is distinct from $1::jsonb -> p.name or p.otherwise is distinct from $1::jsonb -> 'FREE'
             or (p.ends_at <= now() and not p.is_end_told)
           order by p.org_id limit $2::int`,
        [JSON.stringify(limitsOf), limit],
      );
      return rows.map((row) => row.orgId);
    },
  };
}

/** What a transaction may do with the plan of its organisation. */
export function plansIn(sql: Sql, orgId: string) {
  return {
    async lock(): Promise<PlanRow | null> {
      const [row] = await sql.query<PlanRow>(
        `select ${COLUMNS} from organization_plans p where p.org_id = $1::uuid for update`,
        [orgId],
      );
      return row ?? null;
    },

    /** What everybody begins with. Null when there is a plan already. */
    async begin(limits: PlanLimits): Promise<PlanRow | null> {
      const [row] = await sql.query<PlanRow>(
        `insert into organization_plans as p (org_id, starts_at, limits, otherwise)
           values ($1::uuid, ${NOW}, $2::jsonb, $2::jsonb)
           on conflict (org_id) do nothing returning ${COLUMNS}`,
        [orgId, JSON.stringify(limits)],
      );
      return row ?? null;
    },

    /** Replaces all of it and counts the version up. The row must be locked. Null for `startsAt` is now. */
    async update(
      plan: Pick<PlanRow, 'name' | 'endsAt' | 'limits' | 'otherwise'> & { startsAt: Date | null },
    ): Promise<PlanRow> {
      const [row] = await sql.query<PlanRow>(
        `update organization_plans p set name = $2, starts_at = coalesce($3::timestamptz, ${NOW}), ends_at = $4::timestamptz,
             limits = $5::jsonb, otherwise = $6::jsonb, is_end_told = coalesce($4::timestamptz <= now(), false),
             updated_at = now(), version = p.version + 1
           where p.org_id = $1::uuid returning ${COLUMNS}`,
        [
          ...[orgId, plan.name, plan.startsAt?.toISOString() ?? null, plan.endsAt?.toISOString() ?? null],
          ...[JSON.stringify(plan.limits), JSON.stringify(plan.otherwise)],
        ],
      );
      return row as PlanRow;
    },
  };
}
