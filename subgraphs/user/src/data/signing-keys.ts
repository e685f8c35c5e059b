import { type Sql, sqlOf } from '@taskflow/kit/tenant-pool';
import type { Database } from './database.ts';

/** A key that will sign, signs or has signed access tokens. The private half is encrypted. */
export interface SigningKeyRow {
  kid: string;
  publicJwk: Record<string, unknown>;
  privateKeyEncrypted: Uint8Array;
  status: 'NEXT' | 'ACTIVE' | 'RETIRED';
  createdAt: Date;
  /** When it begins or began to sign; null for the first key, which signed from the start. */
  activatesAt: Date | null;
  retiredAt: Date | null;
  /** It is NEXT, and its time has come. */
  isDue: boolean;
}

export type NewSigningKey = Pick<SigningKeyRow, 'kid' | 'publicJwk' | 'privateKeyEncrypted'>;

const COLUMNS = `k.kid, k.public_jwk as "publicJwk", k.private_key_encrypted as "privateKeyEncrypted", k.status,
  k.created_at as "createdAt", k.activates_at as "activatesAt", k.retired_at as "retiredAt",
  k.status = 'NEXT' and k.activates_at <= now() as "isDue"`;

export function signingKeyQueries(database: Database) {
  const sql: Sql = sqlOf(database.system);
  return {
    /**
     * What the key set names: the active key first, then the next one, then the retired ones, newest first, until an hour
     * has passed, in which their last token has expired.
     */
    listUsable: (): Promise<SigningKeyRow[]> =>
      sql.query<SigningKeyRow>(
        `select ${COLUMNS} from signing_keys k
           where k.status in ('ACTIVE', 'NEXT') or k.retired_at > now() - interval '1 hour'
           order by k.status, k.created_at desc`,
      ),

    /** Does nothing when there is an active key: replicas that start together end with one. */
    async insertActive(key: NewSigningKey): Promise<void> {
      await sql.query(
        `insert into signing_keys (kid, public_jwk, private_key_encrypted, status)
           values ($1, $2::jsonb, $3, 'ACTIVE') on conflict do nothing`,
        [key.kid, JSON.stringify(key.publicJwk), key.privateKeyEncrypted],
      );
    },

    /** Publishes a key that begins to sign after `announceMs`; null when another one is waiting already. */
    async insertNext(key: NewSigningKey, announceMs: number): Promise<SigningKeyRow | null> {
      const [row] = await sql.query<SigningKeyRow>(
        `insert into signing_keys as k (kid, public_jwk, private_key_encrypted, status, activates_at)
           values ($1, $2::jsonb, $3, 'NEXT', now() + $4::float8 * interval '1 millisecond')
           on conflict do nothing returning ${COLUMNS}`,
        [key.kid, JSON.stringify(key.publicJwk), key.privateKeyEncrypted, announceMs],
      );
      return row ?? null;
    },

    /** The next key, when its time has come, takes over from the active one. Safe to call by all replicas at once. */
    promoteDue: (): Promise<void> =>
      database.job(async (sql) => {
        await sql.query(
          `update signing_keys set status = 'RETIRED', retired_at = now() where status = 'ACTIVE'
             and exists (select from signing_keys n where n.status = 'NEXT' and n.activates_at <= now())`,
        );
        await sql.query(
          `update signing_keys set status = 'ACTIVE' where status = 'NEXT' and activates_at <= now()`,
        );
      }),
  };
}
