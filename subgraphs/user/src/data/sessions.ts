import type { Sql } from '@taskflow/kit/tenant-pool';

/** One sign-in: its id is the `sid` of access tokens and the family of refresh tokens. */
export interface SessionRow {
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

export type RevokedReason = 'LOGOUT' | 'TOKEN_REUSED' | 'MEMBER_CHANGED';

const MS = `* interval '1 millisecond'`;

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
    async lockByToken(tokenHash: Uint8Array): Promise<SessionRow | null> {
      const [row] = await sql.query<SessionRow>(
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

    /** The token is used; its session lives on for `ttlMs`. */
    async useToken(sessionId: string, generation: number, ttlMs: number): Promise<void> {
      await sql.query(
        `update refresh_tokens set used_at = now()
           where org_id = $1::uuid and session_id = $2::uuid and generation = $3::int`,
        [orgId, sessionId, generation],
      );
      await sql.query(
        `update sessions set last_active_at = now(), expires_at = now() + $3::float8 ${MS}
           where org_id = $1::uuid and id = $2::uuid`,
        [orgId, sessionId, ttlMs],
      );
    },

    /** Ends one session of one person. Safe to call twice: the first reason stays. */
    async revoke({ id, userId }: { id: string; userId: string }, reason: RevokedReason): Promise<void> {
      await sql.query(
        `update sessions set revoked_at = now(), revoked_reason = $4
           where org_id = $1::uuid and id = $2::uuid and user_id = $3::uuid and revoked_at is null`,
        [orgId, id, userId, reason],
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
