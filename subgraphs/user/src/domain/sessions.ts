/**
 * Sessions and their refresh tokens. A session is a family; every use makes the next generation.
 *
 *   newest, unused ─▶ used, its child is derived and kept ─▶ access token with role and epoch of now
 *   its parent, within the grace time ─▶ the same child again: the answer was lost, or two tabs asked at once
 *   anything older ─▶ somebody else has the token: the whole session ends
 *
 * The session's row lock puts concurrent uses in order. Only hashes are stored; a child is HMAC(key, family, generation,
 * parent), so that it can be told again to whoever shows the parent, and to nobody else.
 */
import { type AuditOrigin, auditOriginOf } from '@taskflow/kit/audit';
import type { Call } from '@taskflow/kit/call';
import type { Viewer } from '@taskflow/kit/identity';
import { v7 as uuidv7 } from 'uuid';
import type { Control } from '../data/control.ts';
import type { MemberRow } from '../data/members.ts';
import type { LockedSession } from '../data/sessions.ts';
import type { UserStore, UserTx } from '../data/store.ts';
import type { AccessTokens } from './access-tokens.ts';
import { badRefreshToken, organizationSuspended } from './refusals.ts';
import { childOf, newToken, parseToken, type SecretToken } from './secret-tokens.ts';

/** From where somebody signs in. */
export interface Client {
  readonly requestId: string;
  readonly address: string | null;
  readonly userAgent: string | null;
}

/** What a person gets who is signed in. */
export interface SignedIn {
  readonly viewer: Viewer;
  readonly user: MemberRow;
  readonly accessToken: string;
  readonly accessTokenExpiresAt: Date;
  readonly refreshToken: string;
  readonly refreshTokenExpiresAt: Date;
  readonly syncId: string | null;
}

export interface OpenedSession {
  readonly sessionId: string;
  readonly refreshToken: string;
}

export interface SessionRule {
  readonly refreshKey: string;
  readonly ttlMs: number;
  readonly graceMs: number;
}

export interface SessionDeps extends SessionRule {
  readonly accessTokens: AccessTokens;
  readonly control: Control;
}

/** The CHECKs of the table say the same. */
const USER_AGENT_LENGTH_MAX = 500;
const ADDRESS_LENGTH_MAX = 64;

type Rotation =
  | { outcome: 'refused' }
  | { outcome: 'reused'; session: LockedSession }
  | { outcome: 'rotated'; member: MemberRow; opened: OpenedSession };

export type Sessions = ReturnType<typeof createSessions>;

export function createSessions(store: UserStore, deps: SessionDeps) {
  const { refreshKey, ttlMs, graceMs, accessTokens, control } = deps;

  async function signIn(
    user: MemberRow,
    { sessionId, refreshToken }: OpenedSession,
    syncId: string | null,
  ): Promise<SignedIn> {
    const { text, expiresAt } = await accessTokens.issue(user, sessionId);
    const viewer = { orgId: user.orgId, userId: user.id, role: user.role, sessionId };
    return {
      ...{ viewer, user, accessToken: text, accessTokenExpiresAt: expiresAt },
      ...{ refreshToken, refreshTokenExpiresAt: new Date(Date.now() + ttlMs), syncId },
    };
  }

  async function rotate(tx: UserTx, token: SecretToken, client: Client): Promise<Rotation> {
    // Before the session: who removes a member locks them in this order, and a circle would cost one of the two.
    const member = await tx.members.holdByToken(token.hash);
    const session = await tx.sessions.lockByToken(token.hash);
    if (!session || session.isRevoked) return { outcome: 'refused' };
    const [newest, parent] = await tx.sessions.newestTokens(session.id, graceMs);
    const is = (row: { tokenHash: Uint8Array } | undefined) => row && token.hash.equals(row.tokenHash);
    if (!newest) return { outcome: 'refused' };
    if (!is(newest) && !(is(parent) && parent?.isInGrace)) {
      await tx.sessions.revoke(session, 'TOKEN_REUSED');
      await tx.audit(originOf(client, { actorId: null, sessionId: session.id }), {
        ...{ action: 'refresh-token.reused', target: { type: 'session', id: session.id } },
        after: { userId: session.userId, isRevoked: true },
      });
      return { outcome: 'reused', session };
    }
    if (member?.status !== 'ACTIVE' || newest.isExpired) return { outcome: 'refused' };
    if (await tx.organizations.isSuspended()) return { outcome: 'refused' };
    const isFirstUse = is(newest) === true;
    const generation = isFirstUse ? newest.generation + 1 : newest.generation;
    const child = childOf(token, { sessionId: session.id, generation }, refreshKey);
    if (isFirstUse) {
      const used = { sessionId: session.id, generation: newest.generation };
      await tx.sessions.useToken(used, placeOf(client), ttlMs);
      await tx.sessions.insertToken({ sessionId: session.id, generation, tokenHash: child.hash }, ttlMs);
    } else if (!child.hash.equals(newest.tokenHash)) {
      return { outcome: 'refused' }; // the key was changed within the grace time
    }
    return { outcome: 'rotated', member, opened: { sessionId: session.id, refreshToken: child.text } };
  }

  /** A new session of a member, within the transaction that decided on it. FORBIDDEN where the organisation is suspended. */
  async function open(tx: UserTx, member: MemberRow, client: Client): Promise<OpenedSession> {
    if (await tx.organizations.isSuspended()) throw organizationSuspended();
    const sessionId = uuidv7();
    const token = newToken('rt', member.orgId);
    await tx.sessions.insert({ id: sessionId, userId: member.id, ...placeOf(client) }, ttlMs);
    await tx.sessions.insertToken({ sessionId, generation: 0, tokenHash: token.hash }, ttlMs);
    return { sessionId, refreshToken: token.text };
  }

  return {
    signIn,
    open,

    /**
     * The same session with a new refresh token, and none of its old ones; a new session where it has ended. For the job
     * password-change: the serving role deletes nothing.
     */
    async renew(tx: UserTx, member: MemberRow, sessionId: string, client: Client): Promise<OpenedSession> {
      const session = { id: sessionId, userId: member.id };
      if (!(await tx.sessions.forgetTokens(session, ttlMs))) return open(tx, member, client);
      const token = newToken('rt', member.orgId);
      await tx.sessions.insertToken({ sessionId, generation: 0, tokenHash: token.hash }, ttlMs);
      return { sessionId, refreshToken: token.text };
    },

    /** Exchanges a refresh token. Every refusal is the same. */
    async refresh(client: Client, { refreshToken }: { refreshToken: string }): Promise<SignedIn> {
      const token = parseToken('rt', refreshToken);
      if (!token) throw badRefreshToken();
      const tenant = { orgId: token.orgId };
      const rotation = await store.transaction(tenant, (tx) => rotate(tx, token, client));
      if (rotation.outcome === 'rotated') return signIn(rotation.member, rotation.opened, null);
      if (rotation.outcome === 'reused') {
        const { id: sessionId, userId } = rotation.session;
        await control.revokeSession({ ...tenant, userId, sessionId });
      }
      throw badRefreshToken();
    },

    /** Ends the viewer's session, its tokens and its sockets. Safe to call twice. */
    async end(call: Call): Promise<void> {
      const { viewer } = call;
      const session = { id: viewer.sessionId, userId: viewer.userId };
      await store.transaction(viewer, async (tx) => {
        if (!(await tx.sessions.revoke(session, 'LOGOUT'))) return;
        await tx.audit(auditOriginOf(call), {
          ...{ action: 'session.revoked', target: { type: 'session', id: session.id } },
          after: { reason: 'LOGOUT' },
        });
      });
      await control.revokeSession(viewer);
    },
  };
}

/** Whoever signs in, or tries to, is not a viewer yet. */
export const originOf = (
  { requestId, address, userAgent }: Client,
  who: { actorId: string | null; sessionId: string },
): AuditOrigin => ({ ...who, requestId, address, userAgent });

/** From where a session is used, cut to what the table takes. */
const placeOf = ({ address, userAgent }: Client) => ({
  address: address?.slice(0, ADDRESS_LENGTH_MAX) ?? null,
  userAgent: userAgent?.slice(0, USER_AGENT_LENGTH_MAX) ?? null,
});
