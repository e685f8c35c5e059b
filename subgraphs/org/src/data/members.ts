import type { Tenant } from '@taskflow/kit/tenant-pool';
import type { Database, sqlOf } from './database.ts';

/** What this service knows of a member of the organisation, from the facts of user. */
export interface MemberRow {
  id: string;
  name: string;
  email: string;
  role: string;
  status: string;
  version: number;
}

export function memberQueries(database: Database) {
  return {
    /** A member who may work now; null for absent, suspended and removed ones alike. */
    findActive: (tenant: Tenant, id: string): Promise<MemberRow | null> =>
      database.read(tenant, (tx) =>
        tx.member.findFirst({ where: { orgId: tenant.orgId, id, status: 'ACTIVE' } }),
      ),
    /** Those of `ids` that are or were members, in no order. */
    findMany: (tenant: Tenant, ids: readonly string[]): Promise<MemberRow[]> =>
      database.read(tenant, (tx) =>
        tx.member.findMany({ where: { orgId: tenant.orgId, id: { in: [...ids] } } }),
      ),
  };
}

export function membersIn(sql: ReturnType<typeof sqlOf>, orgId: string) {
  return {
    /** Keeps the newest version. */
    async note(row: MemberRow): Promise<void> {
      await sql.query(
        `insert into members as m (org_id, id, name, email, role, status, version)
           values ($1::uuid, $2::uuid, $3, $4, $5, $6, $7::int)
           on conflict (org_id, id) do update set name = excluded.name, email = excluded.email, role = excluded.role,
             status = excluded.status, version = excluded.version where m.version < excluded.version`,
        [orgId, row.id, row.name, row.email, row.role, row.status, row.version],
      );
    },
  };
}
