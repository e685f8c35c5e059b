import type { Tenant } from '@taskflow/kit/tenant-pool';
import { type Database, sqlOf } from './database.ts';
import { countAll, type ListQuery, listOldestFirst } from './lists.ts';

export interface TeamRow {
  id: string;
  name: string;
  parentTeamId: string | null;
  createdAt: Date;
  updatedAt: Date;
  archivedAt: Date | null;
  version: number;
}

const COLUMNS = `t.id, t.name, t.parent_team_id as "parentTeamId", t.created_at as "createdAt",
  t.updated_at as "updatedAt", t.archived_at as "archivedAt", t.version`;

/** Named reads of teams. Ids must be well-formed. */
export function teamQueries(database: Database) {
  return {
    list: (tenant: Tenant, query: ListQuery): Promise<TeamRow[]> =>
      listOldestFirst(database, tenant, { columns: COLUMNS, table: 'teams', alias: 't' }, query),
    count: (tenant: Tenant): Promise<number> => countAll(database, tenant, 'teams'),

    /** In no order. */
    findMany: (tenant: Tenant, ids: readonly string[]): Promise<TeamRow[]> =>
      database.read(tenant, (tx) =>
        tx.team.findMany({ where: { orgId: tenant.orgId, id: { in: [...ids] } } }),
      ),

    /** The teams directly below `parentIds`, oldest first. */
    childrenOf: (tenant: Tenant, parentIds: readonly string[]): Promise<TeamRow[]> =>
      database.read(tenant, (tx) =>
        tx.team.findMany({
          where: { orgId: tenant.orgId, parentTeamId: { in: [...parentIds] } },
          orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
        }),
      ),

    /** Every team, parents before their children, siblings oldest first: one recursive statement. */
    tree: (tenant: Tenant): Promise<TeamRow[]> =>
      database.read(tenant, (tx) =>
        sqlOf(tx).query<TeamRow>(
          `with recursive tree as (
             select t.*, 0 as depth from teams t where t.org_id = $1::uuid and t.parent_team_id is null
             union all
             select t.*, tree.depth + 1 from teams t
               join tree on t.org_id = tree.org_id and t.parent_team_id = tree.id)
           select ${COLUMNS} from tree t order by t.depth, t.created_at, t.id`,
          [tenant.orgId],
        ),
      ),
  };
}

/** What a transaction may do with teams. */
export function teamsIn(sql: ReturnType<typeof sqlOf>, orgId: string) {
  return {
    /** Locks the team; null when there is none. */
    async lock(id: string): Promise<TeamRow | null> {
      const [row] = await sql.query<TeamRow>(
        `select ${COLUMNS} from teams t where t.org_id = $1::uuid and t.id = $2::uuid for update`,
        [orgId, id],
      );
      return row ?? null;
    },

    /** Changes of the shape of the tree happen one after the other, so that no two make a circle together. */
    async lockTree(): Promise<void> {
      await sql.query('select from organizations where org_id = $1::uuid for no key update', [orgId]);
    },

    /** `id` and every team below it. */
    async descendants(id: string): Promise<string[]> {
      const rows = await sql.query<{ id: string }>(
        `with recursive below as (
           select t.id from teams t where t.org_id = $1::uuid and t.id = $2::uuid
           union all
           select t.id from teams t join below on t.org_id = $1::uuid and t.parent_team_id = below.id)
         select id from below`,
        [orgId, id],
      );
      return rows.map((row) => row.id);
    },

    async insert(row: { id: string; name: string; parentTeamId: string | null }): Promise<TeamRow> {
      const [inserted] = await sql.query<TeamRow>(
        `insert into teams as t (org_id, id, name, parent_team_id)
           values ($1::uuid, $2::uuid, $3, $4::uuid) returning ${COLUMNS}`,
        [orgId, row.id, row.name, row.parentTeamId],
      );
      return inserted as TeamRow;
    },

    async update(row: TeamRow): Promise<TeamRow> {
      const [updated] = await sql.query<TeamRow>(
        `update teams t set name = $3, parent_team_id = $4::uuid, updated_at = now(), version = t.version + 1
           where t.org_id = $1::uuid and t.id = $2::uuid returning ${COLUMNS}`,
        [orgId, row.id, row.name, row.parentTeamId],
      );
      return updated as TeamRow;
    },
  };
}
