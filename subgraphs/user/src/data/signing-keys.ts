import { type Sql, sqlOf } from '@taskflow/kit/tenant-pool';
import type { Database } from './database.ts';

/** A key that signs or has signed access tokens. The private half is encrypted. */
export interface SigningKeyRow {
  kid: string;
  publicJwk: Record<string, unknown>;
  privateKeyEncrypted: Uint8Array;
  status: 'ACTIVE' | 'RETIRED';
}

export function signingKeyQueries(database: Database) {
  const sql: Sql = sqlOf(database.system);
  return {
    /** The active key first, then the retired ones whose last token cannot have expired longer than an hour ago. */
    listUsable: (): Promise<SigningKeyRow[]> =>
      sql.query<SigningKeyRow>(
        `select k.kid, k.public_jwk as "publicJwk", k.private_key_encrypted as "privateKeyEncrypted", k.status
           from signing_keys k where k.status = 'ACTIVE' or k.retired_at > now() - interval '1 hour'
           order by k.status, k.created_at desc`,
      ),

    /** Does nothing when there is an active key: replicas that start together end with one. */
    async insertActive(key: Omit<SigningKeyRow, 'status'>): Promise<void> {
      await sql.query(
        `insert into signing_keys (kid, public_jwk, private_key_encrypted, status)
           values ($1, $2::jsonb, $3, 'ACTIVE') on conflict do nothing`,
        [key.kid, JSON.stringify(key.publicJwk), key.privateKeyEncrypted],
      );
    },
  };
}
