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
    async note({ name, version }: { name: string; version: number }): Promise<void> {
      await sql.query(
        `insert into organizations as o (org_id, name, version) values ($1::uuid, $2, $3::int)
           on conflict (org_id) do update set name = excluded.name, version = excluded.version, updated_at = now()
           where o.version < excluded.version`,
        [orgId, name, version],
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
