import type { Sql } from '@taskflow/kit/tenant-pool';

/** What a transaction may do with what is known of one organisation; org owns it. */
export function organizationsIn(sql: Sql, orgId: string) {
  return {
    /** As org told it last; null while it has not. */
    async name(): Promise<string | null> {
      const [row] = await sql.query<{ name: string | null }>(
        'select name from organizations where org_id = $1::uuid',
        [orgId],
      );
      return row?.name ?? null;
    },

    /** At register; what org tells later replaces it. */
    async found(name: string): Promise<void> {
      await sql.query('insert into organizations (org_id, name) values ($1::uuid, $2)', [orgId, name]);
    },

    /** Does nothing when something newer is known. Safe to call twice. */
    async note(row: { name: string; isSuspended: boolean; version: number }): Promise<void> {
      await sql.query(
        `insert into organizations as o (org_id, name, suspended_at, version)
           values ($1::uuid, $2, case when $3::boolean then now() end, $4::int)
           on conflict (org_id) do update set name = excluded.name, version = excluded.version, updated_at = now(),
             suspended_at = case when $3::boolean then coalesce(o.suspended_at, excluded.suspended_at) end
           where o.version < excluded.version`,
        [orgId, row.name, row.isSuspended, row.version],
      );
    },

    /** Nobody signs in to an organisation that is suspended. */
    async isSuspended(): Promise<boolean> {
      const suspended = await sql.query(
        'select from organizations o where o.org_id = $1::uuid and o.suspended_at is not null',
        [orgId],
      );
      return suspended.length === 1;
    },
  };
}
