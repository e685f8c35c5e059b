import type { Sql, Tenant } from '@taskflow/kit/tenant-pool';
import { type Database, sqlOf } from './database.ts';

/** What this service knows of a member of the organisation, from the facts of user. */
export interface MemberRow {
  id: string;
  name: string;
  role: string;
  status: string;
  version: number;
}

export function memberQueries(database: Database) {
  return {
    /** Null when it has not arrived, or never will. */
    find: async (tenant: Tenant, id: string): Promise<MemberRow | null> => {
      const [row] = await database.read(tenant, (tx) =>
        sqlOf(tx).query<MemberRow>(
          'select id, name, role, status, version from members where org_id = $1::uuid and id = $2::uuid',
          [tenant.orgId, id],
        ),
      );
      return row ?? null;
    },
  };
}

export function membersIn(sql: Sql, orgId: string) {
  return {
    /** Keeps the newest version. What was known before; null when this is not newer. */
    async note(member: MemberRow): Promise<{ former: Pick<MemberRow, 'role' | 'status'> | null } | null> {
      const [noted] = await sql.query<{ role: string | null; status: string | null }>(
        `with former as (select role, status from members where org_id = $1::uuid and id = $2::uuid)
         insert into members as m (org_id, id, name, role, status, version)
           values ($1::uuid, $2::uuid, $3, $4, $5, $6::int)
           on conflict (org_id, id) do update set name = excluded.name, role = excluded.role,
             status = excluded.status, version = excluded.version where m.version < excluded.version
           returning (select role from former) as role, (select status from former) as status`,
        [orgId, member.id, member.name, member.role, member.status, member.version],
      );
      if (!noted) return null;
      const { role, status } = noted;
      return { former: role === null || status === null ? null : { role, status } };
    },
  };
}
