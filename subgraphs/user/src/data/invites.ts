import { createFilter, type Filter, Parameters, textColumn } from '@taskflow/kit/filter';
import type { Role } from '@taskflow/kit/identity';
import { createKeyset, type Page, type Position } from '@taskflow/kit/page';
import { type Sql, sqlOf as sqlOfPool, type Tenant } from '@taskflow/kit/tenant-pool';
import { type Database, sqlOf } from './database.ts';

export interface InviteRow {
  id: string;
  email: string;
  role: Role;
  createdBy: string;
  createdAt: Date;
  updatedAt: Date;
  expiresAt: Date;
  acceptedAt: Date | null;
  canceledAt: Date | null;
  /** As of when the row was read. */
  status: InviteStatus;
}

export type InviteStatus = 'OPEN' | 'ACCEPTED' | 'CANCELED' | 'EXPIRED';

const STATUS = `case when i.accepted_at is not null then 'ACCEPTED' when i.revoked_at is not null then 'CANCELED'
  when i.expires_at <= now() then 'EXPIRED' else 'OPEN' end`;

const COLUMNS = `i.id, i.email, i.role, i.created_by as "createdBy", i.created_at as "createdAt",
  i.updated_at as "updatedAt", i.expires_at as "expiresAt", i.accepted_at as "acceptedAt",
  i.revoked_at as "canceledAt", ${STATUS} as status`;

const IS_OPEN = 'i.accepted_at is null and i.revoked_at is null and i.expires_at > now()';

/** Served by invites_created_at_idx, read backwards. */
export const newestFirst = createKeyset<InviteRow>([
  { sql: 'i.created_at', type: 'timestamptz', order: 'desc', of: (row) => row.createdAt.toISOString() },
  { sql: 'i.id', type: 'uuid', order: 'desc', of: (row) => row.id },
]);

const filterSql = createFilter({ status: textColumn(STATUS), email: textColumn('i.email') });

function whereOf(tenant: Tenant, filter: Filter | null | undefined, parameters: Parameters): string {
  const org = parameters.add(tenant.orgId, 'uuid');
  const matches = filterSql(filter, parameters, { now: new Date(), viewerId: tenant.userId ?? '' });
  return `i.org_id = ${org} and ${matches}`;
}

/** Counting stops here; the SDL promises it. */
const COUNT_MAX = 10_000;

export function inviteQueries(database: Database) {
  const job = sqlOfPool(database.system);
  return {
    /** At most `page.size + 1` rows, the newest first. */
    list(
      tenant: Tenant,
      filter: Filter | null | undefined,
      { page, position }: { page: Page; position: Position | null },
    ): Promise<InviteRow[]> {
      const parameters = new Parameters();
      const where = whereOf(tenant, filter, parameters);
      const beyond = position
        ? newestFirst.after(position.values, page.direction, parameters.values.length + 1)
        : { text: 'true', values: [] };
      const text = `select ${COLUMNS} from invites i where ${where} and ${beyond.text}
        order by ${newestFirst.orderBy(page.direction)} limit ${page.size + 1}`;
      const values = [...parameters.values, ...beyond.values];
      return database.read(tenant, (tx) => sqlOf(tx).query<InviteRow>(text, values));
    },

    /** How many pass the filter, 10,000 at most. */
    async count(tenant: Tenant, filter: Filter | null | undefined): Promise<number> {
      const parameters = new Parameters();
      const text = `select count(*)::int as total from
        (select from invites i where ${whereOf(tenant, filter, parameters)} limit ${COUNT_MAX}) as counted`;
      const [row] = await database.read(tenant, (tx) =>
        sqlOf(tx).query<{ total: number }>(text, parameters.values),
      );
      return row?.total ?? 0;
    },

    async find(tenant: Tenant, id: string): Promise<InviteRow | null> {
      const [row] = await database.read(tenant, (tx) =>
        sqlOf(tx).query<InviteRow>(
          `select ${COLUMNS} from invites i where i.org_id = $1::uuid and i.id = $2::uuid`,
          [tenant.orgId, id],
        ),
      );
      return row ?? null;
    },

    /** Null for a token that is unknown, used, replaced or expired. For the job invite-accept. */
    async findOpen(orgId: string, tokenHash: Uint8Array): Promise<InviteRow | null> {
      const [row] = await job.query<InviteRow>(
        `select ${COLUMNS} from invites i where i.org_id = $1::uuid and i.token_hash = $2::bytea and ${IS_OPEN}`,
        [orgId, tokenHash],
      );
      return row ?? null;
    },
  };
}

/** What a transaction may do with the invites of one organisation. */
export function invitesIn(sql: Sql, orgId: string) {
  const IS_IT = 'i.org_id = $1::uuid and i.id = $2::uuid';
  const one = async (text: string, ...values: unknown[]): Promise<InviteRow | null> => {
    const [row] = await sql.query<InviteRow>(text, [orgId, ...values]);
    return row ?? null;
  };
  return {
    /** Invites of one address are made one after the other, so that one of them is open at most. */
    async lockAddress(email: string): Promise<void> {
      await sql.query('select 1 as locked from pg_advisory_xact_lock(hashtextextended($1, 0))', [
        `invites ${orgId} ${email}`,
      ]);
    },

    /** The tokens that this address may still have stop working, except for one invite. */
    async cancelOpen(email: string, exceptId: string | null = null): Promise<void> {
      await sql.query(
        `update invites i set revoked_at = now(), updated_at = now(), version = i.version + 1
           where i.org_id = $1::uuid and i.email = $2 and ${IS_OPEN} and i.id is distinct from $3::uuid`,
        [orgId, email, exceptId],
      );
    },

    find: (id: string) => one(`select ${COLUMNS} from invites i where ${IS_IT}`, id),

    /** What has become of it stays so until the transaction ends, but for its time. */
    lock: (id: string) => one(`select ${COLUMNS} from invites i where ${IS_IT} for update`, id),

    cancel: (id: string) =>
      one(
        `update invites i set revoked_at = now(), updated_at = now(), version = i.version + 1
           where ${IS_IT} returning ${COLUMNS}`,
        id,
      ),

    /** Another token takes the place of the former one, and its time begins anew. */
    renew: (id: string, tokenHash: Uint8Array, ttlMs: number) =>
      one(
        `update invites i set token_hash = $3::bytea, expires_at = now() + $4::float8 * interval '1 millisecond',
           updated_at = now(), version = i.version + 1 where ${IS_IT} returning ${COLUMNS}`,
        ...[id, tokenHash, ttlMs],
      ),

    async insert(
      invite: Pick<InviteRow, 'id' | 'email' | 'role' | 'createdBy'> & { tokenHash: Uint8Array },
      ttlMs: number,
    ): Promise<InviteRow> {
      const [row] = await sql.query<InviteRow>(
        `insert into invites as i (org_id, id, email, role, token_hash, created_by, expires_at)
           values ($1::uuid, $2::uuid, $3, $4, $5::bytea, $6::uuid, now() + $7::float8 * interval '1 millisecond')
           returning ${COLUMNS}`,
        [orgId, invite.id, invite.email, invite.role, invite.tokenHash, invite.createdBy, ttlMs],
      );
      return row as InviteRow;
    },

    /** Locks an invite that can be accepted; null when somebody was faster, or its time is over. */
    async lockOpen(id: string): Promise<InviteRow | null> {
      const [row] = await sql.query<InviteRow>(
        `select ${COLUMNS} from invites i where i.org_id = $1::uuid and i.id = $2::uuid and ${IS_OPEN} for update`,
        [orgId, id],
      );
      return row ?? null;
    },

    /** True for one caller only. The member must exist by now. */
    async accept(id: string, memberId: string): Promise<boolean> {
      const accepted = await sql.query(
        `update invites i set accepted_at = now(), accepted_by = $3::uuid, updated_at = now(), version = i.version + 1
           where i.org_id = $1::uuid and i.id = $2::uuid and ${IS_OPEN} returning i.id`,
        [orgId, id, memberId],
      );
      return accepted.length === 1;
    },
  };
}
