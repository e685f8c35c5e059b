import { type Sql, sqlOf } from '@taskflow/kit/tenant-pool';
import type { AccountRow } from './accounts.ts';
import type { Database } from './database.ts';

/** Who an account is at an OpenID provider. Global, as accounts are, hence reached by the system role only. */
export interface IdentityRow {
  issuer: string;
  subject: string;
  accountId: string;
  /** The address that the provider vouched for at the last sign-in. */
  email: string;
  createdAt: Date;
  lastUsedAt: Date;
}

export type NewIdentity = Pick<IdentityRow, 'issuer' | 'subject' | 'accountId' | 'email'>;

const COLUMNS = `i.issuer, i.subject, i.account_id as "accountId", i.email, i.created_at as "createdAt",
  i.last_used_at as "lastUsedAt"`;

export function identityQueries(database: Database) {
  const sql = sqlOf(database.system);
  return {
    /** Null for an identity that no account has. */
    async findAccountId(issuer: string, subject: string): Promise<AccountRow['id'] | null> {
      const [row] = await sql.query<{ accountId: string }>(
        `select i.account_id as "accountId" from identities i where i.issuer = $1 and i.subject = $2`,
        [issuer, subject],
      );
      return row?.accountId ?? null;
    },

    /** Those of one account, oldest first. */
    listOf: (accountId: string): Promise<IdentityRow[]> =>
      sql.query<IdentityRow>(
        `select ${COLUMNS} from identities i where i.account_id = $1::uuid order by i.created_at, i.issuer, i.subject`,
        [accountId],
      ),
  };
}

/** What the job sign-in may do with identities. */
export function identitiesIn(sql: Sql) {
  return {
    /** Links, or notes the use of what was linked before. False when the identity belongs to another account. */
    async use({ issuer, subject, accountId, email }: NewIdentity): Promise<boolean> {
      const used = await sql.query(
        `insert into identities as i (issuer, subject, account_id, email) values ($1, $2, $3::uuid, $4)
           on conflict (issuer, subject) do update set last_used_at = now(), email = excluded.email
             where i.account_id = excluded.account_id
         returning i.subject`,
        [issuer, subject, accountId, email],
      );
      return used.length === 1;
    },

    /** How many identities of that provider the account had. */
    async unlink(accountId: string, issuer: string): Promise<number> {
      const gone = await sql.query(
        'delete from identities i where i.account_id = $1::uuid and i.issuer = $2 returning i.subject',
        [accountId, issuer],
      );
      return gone.length;
    },
  };
}
