import { createFilter, type Filter, lowerCaseColumn, Parameters, textColumn } from '@taskflow/kit/filter';
import type { Role } from '@taskflow/kit/identity';
import { createKeyset, type Page, type Position } from '@taskflow/kit/page';
import type { Sql, Tenant } from '@taskflow/kit/tenant-pool';
import { type Database, sqlOf } from './database.ts';

export type MemberStatus = 'ACTIVE' | 'SUSPENDED' | 'REMOVED';

/** A person within an organisation: what stands behind GraphQL User. `id` is that of the account. */
export interface MemberRow {
  orgId: string;
  id: string;
  name: string;
  email: string;
  role: Role;
  status: MemberStatus;
  /** Rises when role or status changes; access tokens of an older one are refused. */
  epoch: number;
  createdAt: Date;
  updatedAt: Date;
  archivedAt: Date | null;
  version: number;
}

export type NewMember = Pick<MemberRow, 'id' | 'name' | 'email' | 'role'>;

export const MEMBER_COLUMNS = `m.org_id as "orgId", m.id, m.name, m.email, m.role, m.status, m.epoch,
  m.created_at as "createdAt", m.updated_at as "updatedAt", m.archived_at as "archivedAt", m.version`;

/** In the order of joining; served by members_created_at_idx. */
export const oldestFirst = createKeyset<MemberRow>([
  { sql: 'm.created_at', type: 'timestamptz', order: 'asc', of: (row) => row.createdAt.toISOString() },
  { sql: 'm.id', type: 'uuid', order: 'asc', of: (row) => row.id },
]);

const filterSql = createFilter({
  name: textColumn('m.name'),
  email: lowerCaseColumn('m.email'),
  role: textColumn('m.role'),
  status: textColumn('m.status'),
});

export interface ListScope {
  filter: Filter | null | undefined;
  /** Only this person; null for everybody of the organisation. */
  onlyId: string | null;
}

/** Counting stops here; the SDL promises it. */
const COUNT_MAX = 10_000;

/** Named reads of one tenant's members. Ids must be well-formed. */
export function memberQueries(database: Database) {
  return {
    /** At most `page.size + 1` rows, oldest first when forward. */
    list(
      tenant: Tenant,
      scope: ListScope,
      { page, position }: { page: Page; position: Position | null },
    ): Promise<MemberRow[]> {
      const parameters = new Parameters();
      const where = whereOf(tenant, scope, parameters);
      const beyond = position
        ? oldestFirst.after(position.values, page.direction, parameters.values.length + 1)
        : { text: 'true', values: [] };
      const text = `select ${MEMBER_COLUMNS} from members m where ${where} and ${beyond.text}
        order by ${oldestFirst.orderBy(page.direction)} limit ${page.size + 1}`;
      const values = [...parameters.values, ...beyond.values];
      return database.read(tenant, (tx) => sqlOf(tx).query<MemberRow>(text, values));
    },

    /** How many pass the filter, 10,000 at most. */
    async count(tenant: Tenant, scope: ListScope): Promise<number> {
      const parameters = new Parameters();
      const text = `select count(*)::int as total from
        (select from members m where ${whereOf(tenant, scope, parameters)} limit ${COUNT_MAX}) as counted`;
      const [row] = await database.read(tenant, (tx) =>
        sqlOf(tx).query<{ total: number }>(text, parameters.values),
      );
      return row?.total ?? 0;
    },

    /** In no order. */
    findMany: (tenant: Tenant, ids: readonly string[]): Promise<MemberRow[]> =>
      database.read(tenant, (tx) =>
        sqlOf(tx).query<MemberRow>(
          `select ${MEMBER_COLUMNS} from members m where m.org_id = $1::uuid and m.id = any($2::uuid[])`,
          [tenant.orgId, ids],
        ),
      ),

    /** Two of those who administrate the organisation now, or the only one; served by members_active_admins_idx. */
    someActiveAdmins: (tenant: Tenant): Promise<string[]> =>
      database.read(tenant, (tx) => someActiveAdmins(sqlOf(tx), tenant.orgId)),
  };
}

async function someActiveAdmins(sql: Sql, orgId: string): Promise<string[]> {
  const rows = await sql.query<{ id: string }>(
    `select m.id from members m where m.org_id = $1::uuid and m.role = 'ORG_ADMIN' and m.status = 'ACTIVE' limit 2`,
    [orgId],
  );
  return rows.map(({ id }) => id);
}

function whereOf(tenant: Tenant, { filter, onlyId }: ListScope, parameters: Parameters): string {
  const org = parameters.add(tenant.orgId, 'uuid');
  const only = onlyId === null ? 'true' : `m.id = ${parameters.add(onlyId, 'uuid')}`;
  const matches = filterSql(filter, parameters, { now: new Date(), viewerId: tenant.userId ?? '' });
  return `m.org_id = ${org} and ${only} and ${matches}`;
}

/** What a transaction may do with the members of one organisation. */
export function membersIn(sql: Sql, orgId: string) {
  const one = async (text: string, ...values: unknown[]): Promise<MemberRow | null> => {
    const [row] = await sql.query<MemberRow>(text, [orgId, ...values]);
    return row ?? null;
  };
  const select = `select ${MEMBER_COLUMNS} from members m where m.org_id = $1::uuid`;

  return {
    /**
     * Changes of roles and statuses take turns within an organisation: two at once could each count on the ORG_ADMIN
     * whom the other removes. Before any row lock of the transaction.
     */
    async takeTurn(): Promise<void> {
      await sql.query('select 1 as locked from pg_advisory_xact_lock(hashtextextended($1, 0))', [
        `members ${orgId}`,
      ]);
    },

    /** Two of those who administrate the organisation now, or the only one. */
    someActiveAdmins: (): Promise<string[]> => someActiveAdmins(sql, orgId),

    /** Keeps role and status as they are until the transaction ends; null when there is none. */
    hold: (id: string) => one(`${select} and m.id = $2::uuid for share`, id),

    /** The same for the owner of a refresh token. */
    holdByToken: (tokenHash: Uint8Array) =>
      one(
        `${select} and m.id = (select s.user_id from sessions s
             join refresh_tokens t on t.org_id = s.org_id and t.session_id = s.id
             where t.org_id = $1::uuid and t.token_hash = $2::bytea) for share`,
        tokenHash,
      ),

    lock: (id: string) => one(`${select} and m.id = $2::uuid for update`, id),

    findByEmail: (email: string) => one(`${select} and m.email = $2`, email),

    /** Null when the person is a member already: then nothing was written. */
    insert: (member: NewMember) =>
      one(
        `insert into members as m (org_id, id, name, email, role) values ($1::uuid, $2::uuid, $3, $4, $5)
           on conflict (org_id, id) do nothing returning ${MEMBER_COLUMNS}`,
        ...[member.id, member.name, member.email, member.role],
      ),

    /** What a person is called in this organisation. Lock the member before. */
    rename: (id: string, name: string) =>
      one(
        `update members as m set name = $3, version = m.version + 1, updated_at = now()
           where m.org_id = $1::uuid and m.id = $2::uuid returning ${MEMBER_COLUMNS}`,
        ...[id, name],
      ),

    /** As that of the account, in the same transaction. Lock the member before. */
    changeEmail: (id: string, email: string) =>
      one(
        `update members as m set email = $3, version = m.version + 1, updated_at = now()
           where m.org_id = $1::uuid and m.id = $2::uuid returning ${MEMBER_COLUMNS}`,
        ...[id, email],
      ),

    /** Takes a removed member in again. Lock the member before. */
    readmit: (member: NewMember) =>
      one(
        `update members as m set name = $3, role = $4, email = $5, status = 'ACTIVE', archived_at = null,
           epoch = m.epoch + 1, version = m.version + 1, updated_at = now()
           where m.org_id = $1::uuid and m.id = $2::uuid returning ${MEMBER_COLUMNS}`,
        ...[member.id, member.name, member.role, member.email],
      ),

    /** The member's access tokens are of an old epoch from here on. Lock the member before. */
    update: (id: string, { role, status }: Pick<MemberRow, 'role' | 'status'>) =>
      one(
        `update members as m set role = $3, status = $4, archived_at = case when $4 = 'REMOVED' then now() end,
           epoch = m.epoch + 1, version = m.version + 1, updated_at = now()
           where m.org_id = $1::uuid and m.id = $2::uuid returning ${MEMBER_COLUMNS}`,
        ...[id, role, status],
      ),
  };
}
