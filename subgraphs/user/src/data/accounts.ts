import type { Role } from '@taskflow/kit/identity';
import { type Sql, sqlOf } from '@taskflow/kit/tenant-pool';
import type { Database } from './database.ts';
import { MEMBER_COLUMNS, type MemberRow, type MemberStatus } from './members.ts';

/** A person across organisations: how they prove who they are. Global, hence read by the system role only. */
export interface AccountRow {
  id: string;
  email: string;
  passwordHash: string;
}

/** One of the organisations that a person belongs to. */
export interface MembershipRow {
  organizationId: string;
  /** Null while org has not told it. */
  organizationName: string | null;
  isOrganizationSuspended: boolean;
  role: Role;
  status: MemberStatus;
  joinedAt: Date;
}

/** The SDL promises it; nobody belongs to as many. */
const MEMBERSHIPS_MAX = 100;

/** A session of a person, in whatever organisation. */
export interface OwnSession {
  orgId: string;
  id: string;
}

const COLUMNS = 'a.id, a.email, a.password_hash as "passwordHash"';
/** Has no membership. */
const NOBODY_ID = '00000000-0000-0000-0000-000000000000';
const UNIQUE_VIOLATION = '23505';

/** What happens before anybody is signed in. */
export function accountQueries(database: Database) {
  const sql = sqlOf(database.system);
  return {
    /** By the lower-case address; null when there is none. */
    async findByEmail(email: string): Promise<AccountRow | null> {
      const [row] = await sql.query<AccountRow>(`select ${COLUMNS} from accounts a where a.email = $1`, [
        email,
      ]);
      return row ?? null;
    },

    /** Null when there is none. */
    async find(id: string): Promise<AccountRow | null> {
      const [row] = await sql.query<AccountRow>(`select ${COLUMNS} from accounts a where a.id = $1::uuid`, [
        id,
      ]);
      return row ?? null;
    },

    /** Since when the addresses of these accounts are proved; those that are not are missing. */
    emailVerifiedAt: (ids: readonly string[]): Promise<{ id: string; at: Date }[]> =>
      sql.query(
        `select a.id, a.email_verified_at as at from accounts a
           where a.id = any($1::uuid[]) and a.email_verified_at is not null`,
        [ids],
      ),

    /**
     * The membership that a login which names no organisation signs in to: the last one used, else the latest joined.
     * Null when the account has no active one in an organisation that is not suspended, and for nobody (null), who costs
     * the same statement.
     */
    async activeMembership(accountId: string | null): Promise<MemberRow | null> {
      const [row] = await sql.query<MemberRow>(
        `select ${MEMBER_COLUMNS} from members m join accounts a on a.id = m.id
             left join organizations o on o.org_id = m.org_id
           where m.id = $1::uuid and m.status = 'ACTIVE' and o.suspended_at is null
           order by (m.org_id = a.last_org_id) desc nulls last, m.created_at desc, m.org_id limit 1`,
        [accountId ?? NOBODY_ID],
      );
      return row ?? null;
    },

    /** Nothing happens when somebody has changed it meanwhile. */
    async replaceHash(id: string, { from, to }: { from: string; to: string }): Promise<void> {
      await sql.query(
        `update accounts set password_hash = $3, updated_at = now() where id = $1::uuid and password_hash = $2`,
        [id, from, to],
      );
    },

    /** The job memberships: where a person belongs, in the order of joining. Removed is not belonging. */
    memberships: (accountId: string): Promise<MembershipRow[]> =>
      sql.query<MembershipRow>(
        `select m.org_id as "organizationId", o.name as "organizationName",
             o.suspended_at is not null as "isOrganizationSuspended", m.role, m.status, m.created_at as "joinedAt"
           from members m left join organizations o on o.org_id = m.org_id
           where m.id = $1::uuid and m.status <> 'REMOVED'
           order by m.created_at, m.org_id limit ${MEMBERSHIPS_MAX}`,
        [accountId],
      ),
  };
}

/** What the named jobs may do with accounts. */
export function accountsIn(sql: Sql) {
  return {
    /** False when the address is taken: then nothing was written. */
    async insert(row: AccountRow, orgId: string): Promise<boolean> {
      const inserted = await sql.query(
        `insert into accounts (id, email, password_hash, last_org_id) values ($1::uuid, $2, $3, $4::uuid)
           on conflict (email) do nothing returning id`,
        [row.id, row.email, row.passwordHash, orgId],
      );
      return inserted.length === 1;
    },

    /** False when password or address have changed since; otherwise they stay until the transaction ends. */
    async hold({ id, email, passwordHash }: AccountRow): Promise<boolean> {
      const rows = await sql.query(
        'select a.id from accounts a where a.id = $1::uuid and a.password_hash = $2 and a.email = $3 for share',
        [id, passwordHash, email],
      );
      return rows.length === 1;
    },

    /** First in every change of an account, which come one after the other. */
    async lock(id: string): Promise<AccountRow | null> {
      const [row] = await sql.query<AccountRow>(
        `select ${COLUMNS} from accounts a where a.id = $1::uuid for update`,
        [id],
      );
      return row ?? null;
    },

    async setPassword(id: string, passwordHash: string): Promise<void> {
      await sql.query('update accounts set password_hash = $2, updated_at = now() where id = $1::uuid', [
        id,
        passwordHash,
      ]);
    },

    /** The present address is theirs. Nothing changes when that was known. */
    async verifyEmail(id: string): Promise<void> {
      await sql.query(
        `update accounts set email_verified_at = now(), updated_at = now()
           where id = $1::uuid and email_verified_at is null`,
        [id],
      );
    },

    async isEmailVerified(id: string): Promise<boolean> {
      const rows = await sql.query(
        'select a.id from accounts a where a.id = $1::uuid and a.email_verified_at is not null',
        [id],
      );
      return rows.length === 1;
    },

    async isTaken(email: string): Promise<boolean> {
      const rows = await sql.query('select a.id from accounts a where a.email = $1', [email]);
      return rows.length === 1;
    },

    /** Also proves the new address. False when somebody has it: then the transaction has failed, and must be left. */
    async changeEmail(id: string, email: string): Promise<boolean> {
      try {
        await sql.query(
          `update accounts set email = $2, email_verified_at = now(), updated_at = now() where id = $1::uuid`,
          [id, email],
        );
        return true;
      } catch (error) {
        if ((error as { code?: unknown }).code === UNIQUE_VIOLATION) return false;
        throw error;
      }
    },

    /** The person in each of their organisations, locked, in one order. */
    lockMembers: (id: string): Promise<MemberRow[]> =>
      sql.query<MemberRow>(
        `select ${MEMBER_COLUMNS} from members m where m.id = $1::uuid order by m.org_id for update`,
        [id],
      ),

    /** Ends the person's sessions in all organisations but for one session. Answers those that were open. */
    endSessions: (id: string, exceptId: string | null): Promise<OwnSession[]> =>
      sql.query<OwnSession>(
        `update sessions s set revoked_at = now(), revoked_reason = 'PASSWORD_CHANGED'
           where s.user_id = $1::uuid and s.id is distinct from $2::uuid and s.revoked_at is null
             and s.expires_at > now()
           returning s.org_id as "orgId", s.id`,
        [id, exceptId],
      ),

    /** The next login that names no organisation signs in to this one. */
    async prefer(id: string, orgId: string): Promise<void> {
      await sql.query('update accounts set last_org_id = $2::uuid, updated_at = now() where id = $1::uuid', [
        id,
        orgId,
      ]);
    },
  };
}
