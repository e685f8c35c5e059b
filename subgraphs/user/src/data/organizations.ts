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
  };
}
