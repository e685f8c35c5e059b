import { type Sql, sqlOf } from '@taskflow/kit/tenant-pool';
import type { Database } from './database.ts';
import { MEMBER_COLUMNS, type MemberRow } from './members.ts';

/** Who was erased, and how far it has come. Says nothing about the person, once all is done. */
export interface ErasureRow {
  orgId: string;
  userId: string;
  /** Address and name, sealed; null once completed. */
  sealed: string | null;
  round: number;
  /** The services that have forgotten in this round. */
  done: string[];
  /** The version of the member that was erased. */
  version: number;
}

const COLUMNS = `e.org_id as "orgId", e.user_id as "userId", e.sealed, e.round, e.done, m.version`;

/** What nobody is called, and where nobody lives. The functions of the migrations write the same. */
export const ERASED_NAME = 'Deleted person';
export const erasedAddressOf = (userId: string): string => `erased-${userId}@erased.invalid`;

export function erasureQueries(database: Pick<Database, 'system'>) {
  const sql = sqlOf(database.system);
  return {
    /** Those in which every one of `services` has forgotten, and which wait for the next step. */
    listRipe: (services: readonly string[]): Promise<ErasureRow[]> =>
      sql.query<ErasureRow>(
        `select ${COLUMNS} from erasures e join members m on m.org_id = e.org_id and m.id = e.user_id
           where e.completed_at is null and e.done @> $1::text[] order by e.requested_at limit 100`,
        [services],
      ),
  };
}

/** What the job member-erasure, and who hears that a service has forgotten, may do in one organisation. */
export function erasuresIn(sql: Sql, orgId: string) {
  return {
    async insert(userId: string, sealed: string): Promise<void> {
      await sql.query('insert into erasures (org_id, user_id, sealed) values ($1::uuid, $2::uuid, $3)', [
        ...[orgId, userId, sealed],
      ]);
    },

    /** Safe to call twice. */
    async noteDone(userId: string, service: string): Promise<void> {
      await sql.query(
        `update erasures set done = array_append(done, $3)
           where org_id = $1::uuid and user_id = $2::uuid and not done @> array[$3] and completed_at is null`,
        [orgId, userId, service],
      );
    },

    /** False when another replica was faster. */
    async beginSecondRound(userId: string): Promise<boolean> {
      const begun = await sql.query(
        `update erasures set round = 2, done = '{}'
           where org_id = $1::uuid and user_id = $2::uuid and round = 1 returning user_id`,
        [orgId, userId],
      );
      return begun.length === 1;
    },

    async complete(userId: string): Promise<boolean> {
      const completed = await sql.query(
        `update erasures set completed_at = now(), sealed = null
           where org_id = $1::uuid and user_id = $2::uuid and completed_at is null returning user_id`,
        [orgId, userId],
      );
      return completed.length === 1;
    },

    /** The member as nobody: removed, without name and address. Lock the member before. */
    async anonymize(userId: string): Promise<MemberRow> {
      const [row] = await sql.query<MemberRow>(
        `update members as m set name = $3, email = $4, status = 'REMOVED', archived_at = coalesce(m.archived_at, now()),
           epoch = m.epoch + 1, version = m.version + 1, updated_at = now()
           where m.org_id = $1::uuid and m.id = $2::uuid returning ${MEMBER_COLUMNS}`,
        [orgId, userId, ERASED_NAME, erasedAddressOf(userId)],
      );
      return row as MemberRow;
    },

    /** Everything by which the person came in or was invited to this organisation. */
    async deleteAccess(userId: string, email: string): Promise<void> {
      const person = [orgId, userId];
      // Refresh tokens go with their sessions.
      await sql.query('delete from sessions where org_id = $1::uuid and user_id = $2::uuid', person);
      await sql.query(
        'delete from credential_tokens where org_id = $1::uuid and account_id = $2::uuid',
        person,
      );
      await sql.query('delete from data_exports where org_id = $1::uuid and user_id = $2::uuid', person);
      await sql.query('delete from api_keys where org_id = $1::uuid and created_by = $2::uuid', person);
      await sql.query('delete from invites where org_id = $1::uuid and email = $2', [orgId, email]);
    },

    /** The account, unless the person still belongs somewhere else. `passwordHash` is one that nobody has. */
    async anonymizeAccount(userId: string, passwordHash: string): Promise<boolean> {
      const gone = await sql.query(
        `update accounts a set email = $3, password_hash = $4, last_org_id = null, email_verified_at = null, updated_at = now()
           where a.id = $2::uuid and not exists (
             select from members m where m.id = a.id and m.org_id <> $1::uuid and m.email <> $3)
           returning a.id`,
        [orgId, userId, erasedAddressOf(userId), passwordHash],
      );
      if (gone.length === 0) return false;
      await sql.query('delete from identities where account_id = $1::uuid', [userId]);
      return true;
    },

    async forgetAttempts(accountHash: Uint8Array): Promise<void> {
      await sql.query('delete from login_attempts where account_hash = $1', [accountHash]);
    },
  };
}
