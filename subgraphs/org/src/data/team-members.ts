import type { Tenant } from '@taskflow/kit/tenant-pool';
import { type Database, sqlOf } from './database.ts';
import { COUNT_MAX } from './lists.ts';

/** One stay of a person in a team. */
export interface TeamMemberRow {
  id: string;
  teamId: string;
  userId: string;
  role: TeamRole;
  joinedAt: Date;
  leftAt: Date | null;
  version: number;
}

export type TeamRole = 'MEMBER' | 'MANAGER';

const COLUMNS = `m.id, m.team_id as "teamId", m.user_id as "userId", m.role, m.joined_at as "joinedAt",
  m.left_at as "leftAt", m.version`;

/** Where a page of one team's entries begins, in the order of joining. */
export interface EntriesQuery {
  teamId: string;
  includeFormer: boolean;
  /** One more than the page shows. */
  limit: number;
  after: { joinedAt: string; id: string } | null;
}

/** Named reads of team members. */
export function teamMemberQueries(database: Database) {
  return {
    /**
     * The pages of many teams in one statement: `limit` entries of each, in the order of joining. All pages begin at
     * the same place, since they are the same field of the same operation.
     */
    listForTeams: (tenant: Tenant, teamIds: readonly string[], query: Omit<EntriesQuery, 'teamId'>) =>
      database.read(tenant, (tx) =>
        sqlOf(tx).query<TeamMemberRow>(
          `select page.* from unnest($2::uuid[]) as team (id) cross join lateral (
             select ${COLUMNS} from team_members m
               where m.org_id = $1::uuid and m.team_id = team.id ${query.includeFormer ? '' : 'and m.left_at is null'}
                 and ($3::timestamptz is null or (m.joined_at, m.id) > ($3::timestamptz, $4::uuid))
               order by m.joined_at, m.id limit $5::int) as page`,
          [tenant.orgId, teamIds, query.after?.joinedAt ?? null, query.after?.id ?? null, query.limit],
        ),
      ),

    /** How many are in each team now; teams without any are left out. */
    activeCounts: (
      tenant: Tenant,
      teamIds: readonly string[],
    ): Promise<{ teamId: string; count: number }[]> =>
      database.read(tenant, (tx) =>
        sqlOf(tx).query<{ teamId: string; count: number }>(
          `select m.team_id as "teamId", count(*)::int as count from team_members m
             where m.org_id = $1::uuid and m.team_id = any($2::uuid[]) and m.left_at is null group by m.team_id`,
          [tenant.orgId, teamIds],
        ),
      ),

    /** How many entries one team has, 10,000 at most. */
    count: async (tenant: Tenant, teamId: string, includeFormer: boolean): Promise<number> => {
      const [row] = await database.read(tenant, (tx) =>
        sqlOf(tx).query<{ total: number }>(
          `select count(*)::int as total from (select from team_members m where m.org_id = $1::uuid
             and m.team_id = $2::uuid ${includeFormer ? '' : 'and m.left_at is null'} limit ${COUNT_MAX}) as counted`,
          [tenant.orgId, teamId],
        ),
      );
      return row?.total ?? 0;
    },

    /** Entries by their own ids, in no order. */
    findMany: (tenant: Tenant, ids: readonly string[]): Promise<TeamMemberRow[]> =>
      database.read(tenant, (tx) =>
        sqlOf(tx).query<TeamMemberRow>(
          `select ${COLUMNS} from team_members m where m.org_id = $1::uuid and m.id = any($2::uuid[])`,
          [tenant.orgId, ids],
        ),
      ),

    /** The stays of these people that have not ended, in the order of joining. */
    activeOfUsers: (tenant: Tenant, userIds: readonly string[]): Promise<TeamMemberRow[]> =>
      database.read(tenant, (tx) =>
        sqlOf(tx).query<TeamMemberRow>(
          `select ${COLUMNS} from team_members m where m.org_id = $1::uuid and m.user_id = any($2::uuid[])
             and m.left_at is null order by m.joined_at, m.id`,
          [tenant.orgId, userIds],
        ),
      ),
  };
}

/** What a transaction may do with a team's people. Lock the team first. */
export function teamMembersIn(sql: ReturnType<typeof sqlOf>, orgId: string) {
  return {
    /** The stay that has not ended; null when there is none. */
    async findActive(teamId: string, userId: string): Promise<TeamMemberRow | null> {
      const [row] = await sql.query<TeamMemberRow>(
        `select ${COLUMNS} from team_members m where m.org_id = $1::uuid and m.team_id = $2::uuid
           and m.user_id = $3::uuid and m.left_at is null for update`,
        [orgId, teamId, userId],
      );
      return row ?? null;
    },

    /** The teams that the person is in, in the order in which to lock them. */
    async teamIdsOf(userId: string): Promise<string[]> {
      const rows = await sql.query<{ teamId: string }>(
        `select m.team_id as "teamId" from team_members m where m.org_id = $1::uuid and m.user_id = $2::uuid
           and m.left_at is null order by m.team_id`,
        [orgId, userId],
      );
      return rows.map(({ teamId }) => teamId);
    },

    async insert(row: {
      id: string;
      teamId: string;
      userId: string;
      role: TeamRole;
      addedBy: string;
    }): Promise<TeamMemberRow> {
      const [inserted] = await sql.query<TeamMemberRow>(
        `insert into team_members as m (org_id, id, team_id, user_id, role, added_by)
           values ($1::uuid, $2::uuid, $3::uuid, $4::uuid, $5, $6::uuid) returning ${COLUMNS}`,
        [orgId, row.id, row.teamId, row.userId, row.role, row.addedBy],
      );
      return inserted as TeamMemberRow;
    },

    async update(id: string, change: { role: TeamRole; hasLeft: boolean }): Promise<TeamMemberRow> {
      const [updated] = await sql.query<TeamMemberRow>(
        `update team_members m set role = $3, left_at = case when $4::boolean then greatest(now(), m.joined_at) end, version = m.version + 1
           where m.org_id = $1::uuid and m.id = $2::uuid returning ${COLUMNS}`,
        [orgId, id, change.role, change.hasLeft],
      );
      return updated as TeamMemberRow;
    },
  };
}
