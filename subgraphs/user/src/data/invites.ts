import type { Role } from '@taskflow/kit/identity';
import { type Sql, sqlOf as sqlOfPool, type Tenant } from '@taskflow/kit/tenant-pool';
import { type Database, sqlOf } from './database.ts';

export interface InviteRow {
  id: string;
  email: string;
  role: Role;
  createdBy: string;
  createdAt: Date;
  expiresAt: Date;
  acceptedAt: Date | null;
}

const COLUMNS = `i.id, i.email, i.role, i.created_by as "createdBy", i.created_at as "createdAt",
  i.expires_at as "expiresAt", i.accepted_at as "acceptedAt"`;

const IS_OPEN = 'i.accepted_at is null and i.revoked_at is null and i.expires_at > now()';

export function inviteQueries(database: Database) {
  const job = sqlOfPool(database.system);
  return {
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
  return {
    /** Invites of one address are made one after the other, so that one of them is open at most. */
    async lockAddress(email: string): Promise<void> {
      await sql.query('select 1 as locked from pg_advisory_xact_lock(hashtextextended($1, 0))', [
        `invites ${orgId} ${email}`,
      ]);
    },

    /** The tokens that this address may still have stop working. */
    async revokeOpen(email: string): Promise<void> {
      await sql.query(
        `update invites i set revoked_at = now(), updated_at = now(), version = i.version + 1
           where i.org_id = $1::uuid and i.email = $2 and ${IS_OPEN}`,
        [orgId, email],
      );
    },

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
