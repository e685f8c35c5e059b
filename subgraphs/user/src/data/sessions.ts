import { createKeyset, type Page, type Position } from '@taskflow/kit/page';
import type { Sql, Tenant } from '@taskflow/kit/tenant-pool';
import { type Database, sqlOf } from './database.ts';

/** One sign-in: its id is the `sid` of access tokens and the family of refresh tokens. */
export interface SessionRow {
  id: string;
  userId: string;
  userAgent: string | null;
  address: string | null;
  createdAt: Date;
  lastActiveAt: Date;
  expiresAt: Date;
  /** Null while the session is open. */
  revokedAt: Date | null;
}

/** What a refresh decides on. */
export interface LockedSession {
  id: string;
  userId: string;
  isRevoked: boolean;
}

export interface NewSession {
  id: string;
  userId: string;
  userAgent: string | null;
  address: string | null;
}

export interface RefreshTokenRow {
  generation: number;
  tokenHash: Uint8Array;
  isExpired: boolean;
  /** Used for the first time so recently that it may yield its child again. */
  isInGrace: boolean;
}

export type RevokedReason = 'LOGOUT' | 'TOKEN_REUSED' | 'MEMBER_CHANGED' | 'REVOKED';

const MS = `* interval '1 millisecond'`;

const COLUMNS = `s.id, s.user_id as "userId", s.user_agent as "userAgent", s.address, s.created_at as "createdAt",
  s.last_active_at as "lastActiveAt", s.expires_at as "expiresAt", s.revoked_at as "revokedAt"`;

const IS_OPEN = 's.revoked_at is null and s.expires_at > now()';

/** Served by sessions_last_active_at_idx. */
export const lastActiveFirst = createKeyset<SessionRow>([
  {
    ...{ sql: 's.last_active_at', type: 'timestamptz', order: 'desc' },
    of: (row) => row.lastActiveAt.toISOString(),
  },
  { sql: 's.id', type: 'uuid', order: 'desc', of: (row) => row.id },
]);

/** A person within an organisation: whose sessions they are. */
export type Owner = Tenant & { readonly userId: string };

/** Which of a person's open sessions. */
export type Which = { readonly only: string } | { readonly except: string } | 'all';

/** Counting stops here; the SDL promises it. */
const COUNT_MAX = 10_000;

/** Named reads of one person's sessions. Ids must be well-formed. */
export function sessionQueries(database: Database) {
  const read = <R extends object>(owner: Owner, text: string, ...values: unknown[]): Promise<R[]> =>
    database.read(owner, (tx) => sqlOf(tx).query<R>(text, [owner.orgId, owner.userId, ...values]));
  const own = 's.org_id = $1::uuid and s.user_id = $2::uuid';

  return {
    /** At most `page.size + 1` open sessions, last active first when forward. */
    list(owner: Owner, { page, position }: { page: Page; position: Position | null }): Promise<SessionRow[]> {
      const beyond = position
        ? lastActiveFirst.after(position.values, page.direction, 3)
        : { text: 'true', values: [] };
      const text = `select ${COLUMNS} from sessions s where ${own} and ${IS_OPEN} and ${beyond.text}
        order by ${lastActiveFirst.orderBy(page.direction)} limit ${page.size + 1}`;
      return read<SessionRow>(owner, text, ...beyond.values);
    },

    /** How many are open, 10,000 at most. */
    async count(owner: Owner): Promise<number> {
      const text = `select count(*)::int as total from
        (select from sessions s where ${own} and ${IS_OPEN} limit ${COUNT_MAX}) as counted`;
      const [row] = await read<{ total: number }>(owner, text);
      return row?.total ?? 0;
    },

    /** Ended ones as well, in no order. */
    findMany: (owner: Owner, ids: readonly string[]): Promise<SessionRow[]> =>
      read<SessionRow>(
        owner,
        `select ${COLUMNS} from sessions s where ${own} and s.id = any($3::uuid[])`,
        ids,
      ),
  };
}

/** What a transaction may do with the sessions of one organisation. Times are the database's: replicas share it. */
export function sessionsIn(sql: Sql, orgId: string) {
  return {
    async insert(session: NewSession, ttlMs: number): Promise<void> {
      await sql.query(
        `insert into sessions (org_id, id, user_id, user_agent, address, expires_at)
           values ($1::uuid, $2::uuid, $3::uuid, $4, $5, now() + $6::float8 ${MS})`,
        [orgId, session.id, session.userId, session.userAgent, session.address, ttlMs],
      );
    },

    async insertToken(
      token: { sessionId: string; generation: number; tokenHash: Uint8Array },
      ttlMs: number,
    ): Promise<void> {
      await sql.query(
        `insert into refresh_tokens (org_id, session_id, generation, token_hash, expires_at)
           values ($1::uuid, $2::uuid, $3::int, $4::bytea, now() + $5::float8 ${MS})`,
        [orgId, token.sessionId, token.generation, token.tokenHash, ttlMs],
      );
    },

    /** Locks the session that a refresh token belongs to; null for a token that nobody has. */
    async lockByToken(tokenHash: Uint8Array): Promise<LockedSession | null> {
      const [row] = await sql.query<LockedSession>(
        `select s.id, s.user_id as "userId", s.revoked_at is not null as "isRevoked"
           from sessions s join refresh_tokens t on t.org_id = s.org_id and t.session_id = s.id
           where t.org_id = $1::uuid and t.token_hash = $2::bytea for no key update of s`,
        [orgId, tokenHash],
      );
      return row ?? null;
    },

    /**
     * The two newest tokens of a session, newest first. A statement of its own, after the lock: the one that waited for
     * it has read its other tables before.
     */
    newestTokens: (sessionId: string, graceMs: number): Promise<RefreshTokenRow[]> =>
      sql.query<RefreshTokenRow>(
        `select t.generation, t.token_hash as "tokenHash", t.expires_at <= now() as "isExpired",
             coalesce(t.used_at > now() - $3::float8 ${MS}, false) as "isInGrace"
           from refresh_tokens t where t.org_id = $1::uuid and t.session_id = $2::uuid
           order by t.generation desc limit 2`,
        [orgId, sessionId, graceMs],
      ),

    /** The token is used; its session lives on for `ttlMs`, and was last active now and there. */
    async useToken(
      { sessionId, generation }: { sessionId: string; generation: number },
      { address, userAgent }: Pick<NewSession, 'address' | 'userAgent'>,
      ttlMs: number,
    ): Promise<void> {
      await sql.query(
        `update refresh_tokens set used_at = now()
           where org_id = $1::uuid and session_id = $2::uuid and generation = $3::int`,
        [orgId, sessionId, generation],
      );
      await sql.query(
        `update sessions set last_active_at = now(), expires_at = now() + $3::float8 ${MS},
             address = coalesce($4, address), user_agent = coalesce($5, user_agent)
           where org_id = $1::uuid and id = $2::uuid`,
        [orgId, sessionId, ttlMs, address, userAgent],
      );
    },

    /** All refresh tokens of an open session, forgotten: unlike reuse, an old one then ends nothing. False when it is not open. */
    async forgetTokens({ id, userId }: { id: string; userId: string }, ttlMs: number): Promise<boolean> {
      const renewed = await sql.query(
        `update sessions set last_active_at = now(), expires_at = now() + $4::float8 ${MS}
           where org_id = $1::uuid and id = $2::uuid and user_id = $3::uuid
             and revoked_at is null and expires_at > now() returning id`,
        [orgId, id, userId, ttlMs],
      );
      if (renewed.length === 0) return false;
      await sql.query('delete from refresh_tokens where org_id = $1::uuid and session_id = $2::uuid', [
        orgId,
        id,
      ]);
      return true;
    },

    /** Ends one session of one person; false when it had ended. The first reason stays. */
    async revoke({ id, userId }: { id: string; userId: string }, reason: RevokedReason): Promise<boolean> {
      const revoked = await sql.query(
        `update sessions set revoked_at = now(), revoked_reason = $4
           where org_id = $1::uuid and id = $2::uuid and user_id = $3::uuid and revoked_at is null returning id`,
        [orgId, id, userId, reason],
      );
      return revoked.length === 1;
    },

    /** Whether the person has or had such a session. */
    async belongsTo(userId: string, id: string): Promise<boolean> {
      const found = await sql.query(
        'select s.id from sessions s where s.org_id = $1::uuid and s.user_id = $2::uuid and s.id = $3::uuid',
        [orgId, userId, id],
      );
      return found.length === 1;
    },

    /** Ends open sessions of one person, and answers those that it has ended, last active first. Lock the member before. */
    async revokeOpen(userId: string, which: Which, reason: RevokedReason): Promise<SessionRow[]> {
      const [only, except] =
        which === 'all' ? [null, null] : 'only' in which ? [which.only, null] : [null, which.except];
      const revoked = await sql.query<SessionRow>(
        `update sessions s set revoked_at = now(), revoked_reason = $3
           where s.org_id = $1::uuid and s.user_id = $2::uuid and ${IS_OPEN}
             and ($4::uuid is null or s.id = $4::uuid) and ($5::uuid is null or s.id <> $5::uuid)
           returning ${COLUMNS}`,
        [orgId, userId, reason, only, except],
      );
      return revoked.sort(
        (a, b) => b.lastActiveAt.getTime() - a.lastActiveAt.getTime() || (a.id < b.id ? 1 : -1),
      );
    },

    /** Ends all sessions of one person. Lock the member before. */
    async revokeAllOf(userId: string, reason: RevokedReason): Promise<void> {
      await sql.query(
        `update sessions set revoked_at = now(), revoked_reason = $3
           where org_id = $1::uuid and user_id = $2::uuid and revoked_at is null`,
        [orgId, userId, reason],
      );
    },
  };
}
