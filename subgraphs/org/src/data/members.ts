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
    /** A member who may work, and can until the transaction ends; null for anybody else. Before any team's lock. */
    async holdActive(id: string): Promise<Pick<MemberRow, 'id'> | null> {
      const [row] = await sql.query<{ id: string }>(
        `select id from members where org_id = $1::uuid and id = $2::uuid and status = 'ACTIVE' for share`,
        [orgId, id],
      );
      return row ?? null;
    },

    /** Keeps the newest version; false when this is not newer. */
    async note(row: MemberRow): Promise<boolean> {
      const noted = await sql.query(
        `insert into members as m (org_id, id, name, email, role, status, version)
           values ($1::uuid, $2::uuid, $3, $4, $5, $6, $7::int)
           on conflict (org_id, id) do update set name = excluded.name, email = excluded.email, role = excluded.role,
             status = excluded.status, version = excluded.version where m.version < excluded.version returning m.id`,
        [orgId, row.id, row.name, row.email, row.role, row.status, row.version],
      );
      return noted.length === 1;
    },
  };
}
