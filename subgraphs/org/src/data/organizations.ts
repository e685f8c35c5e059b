import type { Tenant } from '@taskflow/kit/tenant-pool';
import { type Database, sqlOf } from './database.ts';

export interface OrganizationRow {
  /** The tenant's own id. */
  id: string;
  name: string;
  slug: string;
  taskVisibility: TaskVisibility;
  createdAt: Date;
  updatedAt: Date;
  archivedAt: Date | null;
  version: number;
}

export type TaskVisibility = 'ASSIGNED' | 'PROJECT';

const COLUMNS = `o.org_id as id, o.name, o.slug, o.task_visibility as "taskVisibility", o.created_at as "createdAt",
  o.updated_at as "updatedAt", o.archived_at as "archivedAt", o.version`;

export function organizationQueries(database: Database) {
  return {
    /** The tenant itself; null before its founding has arrived. */
    findOwn: async (tenant: Tenant): Promise<OrganizationRow | null> => {
      const [row] = await database.read(tenant, (tx) =>
        sqlOf(tx).query<OrganizationRow>(`select ${COLUMNS} from organizations o where o.org_id = $1::uuid`, [
          tenant.orgId,
        ]),
      );
      return row ?? null;
    },
  };
}

/** What a transaction may do with its organisation. */
export function organizationsIn(sql: ReturnType<typeof sqlOf>, orgId: string) {
  return {
    async lock(): Promise<OrganizationRow | null> {
      const [row] = await sql.query<OrganizationRow>(
        `select ${COLUMNS} from organizations o where o.org_id = $1::uuid for update`,
        [orgId],
      );
      return row ?? null;
    },

    /** Safe to call twice. */
    async found(row: { name: string; slug: string; founderId: string; foundedAt: string }): Promise<void> {
      await sql.query(
        `insert into organizations (org_id, name, slug, founder_id, created_at, updated_at)
           values ($1::uuid, $2, $3, $4::uuid, $5::timestamptz, $5::timestamptz) on conflict (org_id) do nothing`,
        [orgId, row.name, row.slug, row.founderId, row.foundedAt],
      );
    },

    async update(row: Pick<OrganizationRow, 'name' | 'taskVisibility'>): Promise<OrganizationRow> {
      const [updated] = await sql.query<OrganizationRow>(
        `update organizations o set name = $2, task_visibility = $3, updated_at = now(), version = o.version + 1
           where o.org_id = $1::uuid returning ${COLUMNS}`,
        [orgId, row.name, row.taskVisibility],
      );
      return updated as OrganizationRow;
    },
  };
}
