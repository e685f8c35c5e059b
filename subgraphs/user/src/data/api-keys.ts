import type { Role, Scope } from '@taskflow/kit/identity';
import { createKeyset, type Page, type Position } from '@taskflow/kit/page';
import type { Sql, Tenant } from '@taskflow/kit/tenant-pool';
import { type Database, sqlOf } from './database.ts';

/** A key as people see it; its secret is nowhere. */
export interface ApiKeyRow {
  id: string;
  name: string;
  prefix: string;
  scopes: Scope[];
  requestsPerMinute: number;
  createdBy: string;
  createdAt: Date;
  expiresAt: Date | null;
  lastUsedAt: Date | null;
  revokedAt: Date | null;
}

/** Whom a key stands for now, with role and epoch of its maker. */
export interface ApiKeyHolderRow {
  id: string;
  userId: string;
  role: Role;
  epoch: number;
  scopes: Scope[];
  requestsPerMinute: number;
  expiresAt: Date | null;
  /** It was last noted a minute ago or longer. */
  isUseUnnoted: boolean;
}

export interface NewApiKey
  extends Pick<
    ApiKeyRow,
    'id' | 'name' | 'prefix' | 'scopes' | 'requestsPerMinute' | 'createdBy' | 'expiresAt'
  > {
  tokenHash: Uint8Array;
}

const COLUMNS = `k.id, k.name, k.prefix, k.scopes, k.requests_per_minute as "requestsPerMinute", k.created_by as "createdBy",
  k.created_at as "createdAt", k.expires_at as "expiresAt", k.last_used_at as "lastUsedAt", k.revoked_at as "revokedAt"`;

const IS_USABLE = 'k.revoked_at is null and (k.expires_at is null or k.expires_at > now())';

/** Served by api_keys_created_at_idx and api_keys_created_by_idx, read backwards. */
export const newestFirst = createKeyset<ApiKeyRow>([
  { sql: 'k.created_at', type: 'timestamptz', order: 'desc', of: (row) => row.createdAt.toISOString() },
  { sql: 'k.id', type: 'uuid', order: 'desc', of: (row) => row.id },
]);

/** Counting stops here; the SDL promises it. */
const COUNT_MAX = 10_000;

/** Named reads of one tenant's keys. */
export function apiKeyQueries(database: Database) {
  const read = <Row>(tenant: Tenant, text: string, values: unknown[]): Promise<Row[]> =>
    database.read(tenant, (tx) => sqlOf(tx).query<Row>(text, values));

  return {
    /** At most `page.size + 1` rows; of one maker, or of everybody when `createdBy` is null. */
    list(
      tenant: Tenant,
      createdBy: string | null,
      { page, position }: { page: Page; position: Position | null },
    ): Promise<ApiKeyRow[]> {
      const beyond = position
        ? newestFirst.after(position.values, page.direction, 3)
        : { text: 'true', values: [] };
      return read(
        tenant,
        `select ${COLUMNS} from api_keys k
           where k.org_id = $1::uuid and ($2::uuid is null or k.created_by = $2::uuid) and ${beyond.text}
           order by ${newestFirst.orderBy(page.direction)} limit ${page.size + 1}`,
        [tenant.orgId, createdBy, ...beyond.values],
      );
    },

    /** 10,000 at most. */
    async count(tenant: Tenant, createdBy: string | null): Promise<number> {
      const [row] = await read<{ total: number }>(
        tenant,
        `select count(*)::int as total from
           (select from api_keys k where k.org_id = $1::uuid and ($2::uuid is null or k.created_by = $2::uuid)
             limit ${COUNT_MAX}) as counted`,
        [tenant.orgId, createdBy],
      );
      return row?.total ?? 0;
    },

    async find(tenant: Tenant, id: string): Promise<ApiKeyRow | null> {
      const text = `select ${COLUMNS} from api_keys k where k.org_id = $1::uuid and k.id = $2::uuid`;
      return (await read<ApiKeyRow>(tenant, text, [tenant.orgId, id]))[0] ?? null;
    },

    /** Null for a key that is unknown, revoked or expired, and for one whose maker or organisation is not active. */
    async findHolder(orgId: string, tokenHash: Uint8Array): Promise<ApiKeyHolderRow | null> {
      const [row] = await read<ApiKeyHolderRow>(
        { orgId },
        `select k.id, k.created_by as "userId", m.role, m.epoch, k.scopes, k.requests_per_minute as "requestsPerMinute",
             k.expires_at as "expiresAt", coalesce(k.last_used_at < now() - interval '1 minute', true) as "isUseUnnoted"
           from api_keys k
             join members m on m.org_id = k.org_id and m.id = k.created_by
             left join organizations o on o.org_id = k.org_id
           where k.org_id = $1::uuid and k.token_hash = $2::bytea and ${IS_USABLE}
             and m.status = 'ACTIVE' and o.suspended_at is null`,
        [orgId, tokenHash],
      );
      return row ?? null;
    },

    /** Once a minute at most, however many ask at once. */
    async noteUse(orgId: string, id: string): Promise<void> {
      await read(
        { orgId },
        `update api_keys set last_used_at = now() where org_id = $1::uuid and id = $2::uuid
           and (last_used_at is null or last_used_at < now() - interval '1 minute') returning id`,
        [orgId, id],
      );
    },
  };
}

/** What a transaction may do with the keys of one organisation. */
export function apiKeysIn(sql: Sql, orgId: string) {
  return {
    async insert(key: NewApiKey): Promise<ApiKeyRow> {
      const [row] = await sql.query<ApiKeyRow>(
        `insert into api_keys as k
           (org_id, id, name, prefix, token_hash, scopes, requests_per_minute, created_by, expires_at)
           values ($1::uuid, $2::uuid, $3, $4, $5::bytea, $6::text[], $7::int, $8::uuid, $9::timestamptz)
           returning ${COLUMNS}`,
        [
          ...[orgId, key.id, key.name, key.prefix, key.tokenHash, key.scopes, key.requestsPerMinute],
          ...[key.createdBy, key.expiresAt],
        ],
      );
      return row as ApiKeyRow;
    },

    async countUsable(createdBy: string): Promise<number> {
      const [row] = await sql.query<{ count: number }>(
        `select count(*)::int as count from api_keys k
           where k.org_id = $1::uuid and k.created_by = $2::uuid and ${IS_USABLE}`,
        [orgId, createdBy],
      );
      return row?.count ?? 0;
    },

    async lock(id: string): Promise<ApiKeyRow | null> {
      const [row] = await sql.query<ApiKeyRow>(
        `select ${COLUMNS} from api_keys k where k.org_id = $1::uuid and k.id = $2::uuid for update`,
        [orgId, id],
      );
      return row ?? null;
    },

    async revoke(id: string, revokedBy: string): Promise<ApiKeyRow> {
      const [row] = await sql.query<ApiKeyRow>(
        `update api_keys k set revoked_at = now(), revoked_by = $3::uuid
           where k.org_id = $1::uuid and k.id = $2::uuid returning ${COLUMNS}`,
        [orgId, id, revokedBy],
      );
      return row as ApiKeyRow;
    },

    /** Those of somebody who leaves for good: they do not come back with the person. */
    async revokeAllOf(createdBy: string, revokedBy: string): Promise<void> {
      await sql.query(
        `update api_keys set revoked_at = now(), revoked_by = $3::uuid
           where org_id = $1::uuid and created_by = $2::uuid and revoked_at is null`,
        [orgId, createdBy, revokedBy],
      );
    },
  };
}
