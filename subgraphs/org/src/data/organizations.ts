import { isUuid } from '@taskflow/kit/filter';
import { sqlOf as sqlOfPool, type Tenant } from '@taskflow/kit/tenant-pool';
import { type Database, sqlOf } from './database.ts';

export interface OrganizationRow {
  /** The tenant's own id. */
  id: string;
  name: string;
  slug: string;
  taskVisibility: TaskVisibility;
  /** SUSPENDED by an operator: its people cannot sign in. */
  status: OrganizationStatus;
  createdAt: Date;
  updatedAt: Date;
  archivedAt: Date | null;
  version: number;
}

export type OrganizationStatus = 'ACTIVE' | 'SUSPENDED';
export type TaskVisibility = 'ASSIGNED' | 'PROJECT';

const COLUMNS = `o.org_id as id, o.name, o.slug, o.task_visibility as "taskVisibility", o.status,
  o.created_at as "createdAt", o.updated_at as "updatedAt", o.archived_at as "archivedAt", o.version`;

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

    /** For the operator's commands: those with this id or short name, which need not be unique; two at most. */
    findForOperator: (reference: string): Promise<{ id: string; slug: string }[]> =>
      sqlOfPool(database.system).query<{ id: string; slug: string }>(
        `select o.org_id as id, o.slug from organizations o
           where o.slug = $1 or o.org_id = case when $2::boolean then $1::uuid end limit 2`,
        [reference, isUuid(reference)],
      ),
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

    async setStatus(status: OrganizationStatus): Promise<OrganizationRow> {
      const [updated] = await sql.query<OrganizationRow>(
        `update organizations o set status = $2, suspended_at = case when $2 = 'SUSPENDED' then now() end,
           updated_at = now(), version = o.version + 1 where o.org_id = $1::uuid returning ${COLUMNS}`,
        [orgId, status],
      );
      return updated as OrganizationRow;
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
