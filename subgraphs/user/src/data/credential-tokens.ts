/**
 * The single-use tokens of mails: reset of a password, proof of an address, change of an address. They act on an account,
 * which is global, so that the system role alone reaches them; an organisation is named wherever a token is.
 */
import { type Sql, sqlOf } from '@taskflow/kit/tenant-pool';
import type { Database } from './database.ts';

export type CredentialKind = 'PASSWORD_RESET' | 'EMAIL_VERIFICATION' | 'EMAIL_CHANGE';

export interface CredentialTokenRow {
  orgId: string;
  id: string;
  kind: CredentialKind;
  accountId: string;
  /** Where it was sent. */
  email: string;
  /** Of an EMAIL_CHANGE: the address to change to, and what the tokens of both addresses have in common. */
  newEmail: string | null;
  changeId: string | null;
}

export interface NewCredentialToken extends CredentialTokenRow {
  tokenHash: Uint8Array;
}

/** What a token is known by: its organisation stands in it, its text does not stand anywhere. */
export interface CredentialKey {
  readonly kind: CredentialKind;
  readonly orgId: string;
  readonly hash: Uint8Array;
}

const COLUMNS = `t.org_id as "orgId", t.id, t.kind, t.account_id as "accountId", t.email,
  t.new_email as "newEmail", t.change_id as "changeId"`;
const IS_OPEN = 't.used_at is null and t.revoked_at is null and t.expires_at > now()';
const IS_IT = 't.org_id = $1::uuid and t.token_hash = $2::bytea and t.kind = $3';
const MS = `* interval '1 millisecond'`;

export function credentialTokenQueries(database: Database) {
  const sql = sqlOf(database.system);
  return {
    /** Null for a token that is unknown, of another kind, used, replaced or expired. */
    async findOpen({ orgId, hash, kind }: CredentialKey): Promise<CredentialTokenRow | null> {
      const [row] = await sql.query<CredentialTokenRow>(
        `select ${COLUMNS} from credential_tokens t where ${IS_IT} and ${IS_OPEN}`,
        [orgId, hash, kind],
      );
      return row ?? null;
    },
  };
}

/** What the jobs of credentials may do with tokens. Lock the account before: of one person they come one after the other. */
export function credentialTokensIn(sql: Sql) {
  return {
    /** Answers when it stops working. */
    async insert(token: NewCredentialToken, ttlMs: number): Promise<Date> {
      const [row] = await sql.query<{ expiresAt: Date }>(
        `insert into credential_tokens
             (org_id, id, kind, account_id, token_hash, email, new_email, change_id, expires_at)
           values ($1::uuid, $2::uuid, $3, $4::uuid, $5::bytea, $6, $7, $8::uuid, now() + $9::float8 ${MS})
           returning expires_at as "expiresAt"`,
        [
          ...[token.orgId, token.id, token.kind, token.accountId, token.tokenHash],
          ...[token.email, token.newEmail, token.changeId, ttlMs],
        ],
      );
      return (row as { expiresAt: Date }).expiresAt;
    },

    /** True for one caller only, whoever else holds the token. */
    async use({ orgId, hash, kind }: CredentialKey): Promise<boolean> {
      const used = await sql.query(
        `update credential_tokens t set used_at = now() where ${IS_IT} and ${IS_OPEN} returning t.id`,
        [orgId, hash, kind],
      );
      return used.length === 1;
    },

    /** Whether every token of a change of address was used. */
    async isConfirmed(changeId: string, accountId: string): Promise<boolean> {
      const [row] = await sql.query<{ isConfirmed: boolean }>(
        `select count(t.used_at) = 2 as "isConfirmed" from credential_tokens t
           where t.account_id = $2::uuid and t.kind = 'EMAIL_CHANGE' and t.change_id = $1::uuid`,
        [changeId, accountId],
      );
      return row?.isConfirmed ?? false;
    },

    /** What the person was sent before stops working. */
    async revokeOpen(accountId: string, kinds: readonly CredentialKind[]): Promise<void> {
      await sql.query(
        `update credential_tokens t set revoked_at = now()
           where t.account_id = $1::uuid and t.kind = any($2::text[]) and ${IS_OPEN}`,
        [accountId, kinds],
      );
    },

    /** In how many milliseconds another one may be sent; 0 when at once, for fewer than `max` were made within `windowMs`. */
    async waitMs(
      accountId: string,
      kind: CredentialKind,
      { max, windowMs }: { max: number; windowMs: number },
    ): Promise<number> {
      const [row] = await sql.query<{ ms: number }>(
        `select ceil(extract(epoch from t.created_at - now()) * 1000 + $4::float8)::int as ms
           from credential_tokens t
           where t.account_id = $1::uuid and t.kind = $2 and t.created_at > now() - $4::float8 ${MS}
           order by t.created_at desc, t.id desc offset $3::int - 1 limit 1`,
        [accountId, kind, max, windowMs],
      );
      return Math.max(0, row?.ms ?? 0);
    },
  };
}
