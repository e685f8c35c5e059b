import type { Sql } from '@taskflow/kit/tenant-pool';

/** What an organisation has chosen, from the facts of org. Without a row it has the defaults. */
export interface SettingsRow {
  taskVisibility: string;
  version: number;
}

export const TASK_VISIBILITY_DEFAULT = 'ASSIGNED';

export function settingsIn(sql: Sql, orgId: string) {
  return {
    async taskVisibility(): Promise<string> {
      const [row] = await sql.query<{ taskVisibility: string }>(
        'select task_visibility as "taskVisibility" from organization_settings where org_id = $1::uuid',
        [orgId],
      );
      return row?.taskVisibility ?? TASK_VISIBILITY_DEFAULT;
    },

    /** Keeps the newest version; false when this is not newer. */
    async note(settings: SettingsRow): Promise<boolean> {
      const noted = await sql.query(
        `insert into organization_settings as s (org_id, task_visibility, version) values ($1::uuid, $2, $3::int)
           on conflict (org_id) do update set task_visibility = excluded.task_visibility, version = excluded.version
             where s.version < excluded.version
           returning version`,
        [orgId, settings.taskVisibility, settings.version],
      );
      return noted.length > 0;
    },
  };
}
