/** Where a person is signed in: listing that, ending it, and what the audit log and the routers hear of it. */
import { randomUUID } from 'node:crypto';
import { CONTEXT_HEADER, signContext } from '@taskflow/kit/identity';
import { createKeys } from '@taskflow/kit/keys';
import { createLog } from '@taskflow/kit/log';
import { createRedis, type RedisConnections } from '@taskflow/kit/redis';
import { bytesOf } from '@taskflow/tests/kit/client';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { readUserConfig } from '../src/config.ts';
import { createService } from '../src/service.ts';
import {
  ABSENT,
  aScene,
  type Claims,
  ERRORS,
  LOGIN,
  LOGOUT,
  PASSWORD,
  type Person,
  REFRESH,
  type Scene,
} from './scene.ts';

const SESSION = 'id createdAt lastActiveAt expiresAt endedAt device userAgent address isCurrent';
const SESSIONS = `query ($first: Int, $after: String) { sessions(first: $first, after: $after) {
  totalCount pageInfo { hasNextPage endCursor } nodes { ${SESSION} } } }`;
const ENDED = `${ERRORS} revokedCount syncId sessions { id endedAt isCurrent }`;
const REVOKE = `mutation ($input: SessionRevokeInput!) { sessionRevoke(input: $input) { ${ENDED} } }`;
const OTHERS = `mutation { sessionRevokeOthers(input: {}) { ${ENDED} } }`;
const ALL = `mutation { sessionRevokeAll(input: {}) { ${ENDED} } }`;

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';

let scene: Scene;
let redis: RedisConnections;

beforeAll(async () => {
  scene = await aScene();
  redis = createRedis({ ...scene.redis, log: createLog({ process: 'test', level: 'silent' }) });
  await redis.whenReady();
});
afterAll(() => redis.close());

/** The same person, signed in once more. */
async function again(person: Person, claims: Claims = {}): Promise<Person> {
  const answer = await scene.send(LOGIN, { email: person.email, password: PASSWORD }, claims);
  return { ...answer.auth, email: person.email, viewer: scene.viewerOf(answer) };
}
const idOf = (person: Person) => person.viewer.sessionId;
const idsOf = async (person: Person): Promise<string[]> =>
  (await scene.user.ask(person.viewer, SESSIONS)).sessions.nodes.map(({ id }: { id: string }) => id);
const canRefresh = async ({ refreshToken }: Person) =>
  (await scene.send(REFRESH, { refreshToken })).auth.success;
const isTold = async ({ viewer: { orgId, sessionId } }: Person) =>
  (await redis.commands.get(createKeys(scene.redis.prefix).revokedKey(orgId, sessionId))) === '1';

interface Line {
  action: string;
  target_id: string;
  actor_id: string | null;
  session_id: string | null;
}
const linesOf = (orgId: string, action: string) =>
  scene.sql<Line>(
    'select action, target_id, actor_id, session_id from audit_entries where org_id = $1 and action = $2 order by id',
    [orgId, action],
  );

describe('sessions', () => {
  it('lists the open ones of the viewer, with device, address and which one it is', async () => {
    const ada = await scene.founder();
    const laptop = await again(ada, { clientAddress: '203.0.113.9', userAgent: FIREFOX });
    await again(ada, { clientAddress: '2001:db8::7', userAgent: 'curl/8.5.0' });
    const { sessions } = await scene.user.ask(laptop.viewer, SESSIONS);
    expect(sessions.totalCount).toBe(3);
    expect(sessions.nodes).toMatchObject([
      { device: 'curl', address: '2001:db8::7', isCurrent: false, endedAt: null },
      {
        id: idOf(laptop),
        device: 'Firefox on Linux',
        userAgent: FIREFOX,
        address: '203.0.113.9',
        isCurrent: true,
      },
      { id: idOf(ada), device: null, userAgent: null, isCurrent: false },
    ]);
  });

  it('puts the one that was used last first, by its refresh, with the address of then', async () => {
    const ada = await scene.founder();
    await again(ada);
    const before = (await scene.user.ask(ada.viewer, SESSIONS)).sessions.nodes;
    expect(before[1].id).toBe(idOf(ada));
    await scene.send(REFRESH, { refreshToken: ada.refreshToken }, { clientAddress: '198.51.100.4' });
    const [first] = (await scene.user.ask(ada.viewer, SESSIONS)).sessions.nodes;
    expect(first).toMatchObject({ id: idOf(ada), address: '198.51.100.4', createdAt: before[1].createdAt });
    expect(first.lastActiveAt > before[1].lastActiveAt).toBe(true);
    expect(first.expiresAt > before[1].expiresAt).toBe(true);
  });

  it('comes page by page, each session once', async () => {
    const ada = await scene.founder();
    for (let n = 0; n < 4; n++) await again(ada);
    const seen: string[] = [];
    let after: string | null = null;
    do {
      const { sessions } = await scene.user.ask(ada.viewer, SESSIONS, { first: 2, after });
      seen.push(...sessions.nodes.map(({ id }: { id: string }) => id));
      after = sessions.pageInfo.hasNextPage ? sessions.pageInfo.endCursor : null;
    } while (after);
    expect(seen).toEqual(await idsOf(ada));
    expect(new Set(seen).size).toBe(5);
    const bob = await scene.founder('Bob');
    const { sessions } = await scene.user.ask(ada.viewer, SESSIONS, { first: 1 });
    const foreign = await scene.user.send(bob.viewer, SESSIONS, { after: sessions.pageInfo.endCursor });
    expect(foreign.errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }]);
  });

  it('shows nobody the sessions of others, an ORG_ADMIN neither, nor those of the person elsewhere', async () => {
    const ada = await scene.founder();
    const grace = await scene.colleague(ada);
    const elsewhere = await scene.founder('Bob');
    expect(await idsOf(ada)).toEqual([idOf(ada)]);
    expect(await idsOf(grace)).toEqual([idOf(grace)]);
    expect(await idsOf({ ...elsewhere, viewer: { ...elsewhere.viewer, userId: ada.user.id } })).toEqual([]);
  });

  it('leaves out what has ended or expired', async () => {
    const ada = await scene.founder();
    const [ended, expired] = [await again(ada), await again(ada)];
    await scene.user.ask(ended.viewer, LOGOUT);
    await scene.sql(`update sessions set expires_at = now() - interval '1 second' where id = $1`, [
      idOf(expired),
    ]);
    expect(await idsOf(ada)).toEqual([idOf(ada)]);
  });
});

describe('sessionRevoke', () => {
  it('ends one session, its refresh token and its access tokens, and no other', async () => {
    const ada = await scene.founder();
    const [phone, laptop] = [await again(ada), await again(ada)];
    const { sessionRevoke } = await scene.user.ask(ada.viewer, REVOKE, { input: { id: idOf(phone) } });
    expect(sessionRevoke).toMatchObject({
      ...{ success: true, revokedCount: 1, syncId: null },
      sessions: [{ id: idOf(phone), isCurrent: false, endedAt: expect.any(String) }],
    });
    expect([await canRefresh(phone), await canRefresh(laptop)]).toEqual([false, true]);
    expect([await isTold(phone), await isTold(laptop)]).toEqual([true, false]);
    expect(await linesOf(ada.viewer.orgId, 'session.revoked')).toMatchObject([
      { target_id: idOf(phone), actor_id: ada.user.id, session_id: idOf(ada) },
    ]);
  });

  it('refuses what is absent, malformed, a colleague’s, another organisation’s or another person’s with the same bytes', async () => {
    const ada = await scene.founder();
    const grace = await scene.colleague(ada);
    const bob = await scene.founder('Bob');
    const ids = [ABSENT, 'garbage', '', idOf(grace), idOf(bob)];
    const answers = [];
    for (const id of ids) answers.push(await scene.user.send(ada.viewer, REVOKE, { input: { id } }));
    expect(new Set(answers.map(bytesOf)).size).toBe(1);
    expect(answers[0]?.data).toMatchObject({
      sessionRevoke: { success: false, sessions: null, userErrors: [{ code: 'NOT_FOUND', field: 'id' }] },
    });
    expect([await canRefresh(grace), await canRefresh(bob)]).toEqual([true, true]);
  });

  it('takes one that has ended as ended, without a second line', async () => {
    const ada = await scene.founder();
    const phone = await again(ada);
    for (const revokedCount of [1, 0]) {
      const { sessionRevoke } = await scene.user.ask(ada.viewer, REVOKE, { input: { id: idOf(phone) } });
      expect(sessionRevoke).toMatchObject({ success: true, revokedCount });
    }
    expect(await linesOf(ada.viewer.orgId, 'session.revoked')).toHaveLength(1);
  });
});

describe('sessionRevokeOthers and sessionRevokeAll', () => {
  it('end all sessions but the current one, or with it', async () => {
    const ada = await scene.founder();
    const grace = await scene.colleague(ada);
    const others = [await again(ada), await again(ada)];
    const first = (await scene.user.ask(ada.viewer, OTHERS)).sessionRevokeOthers;
    expect(first).toMatchObject({ success: true, revokedCount: 2 });
    expect(first.sessions.map(({ id }: { id: string }) => id)).toEqual(others.map(idOf).reverse());
    expect(await Promise.all([ada, ...others, grace].map(isTold))).toEqual([false, true, true, false]);
    expect(await idsOf(ada)).toEqual([idOf(ada)]);
    const late = await again(ada);
    const all = (await scene.user.ask(ada.viewer, ALL)).sessionRevokeAll;
    expect(all).toMatchObject({
      revokedCount: 2,
      sessions: [{ id: idOf(late) }, { id: idOf(ada), isCurrent: true }],
    });
    expect(await Promise.all([ada, late, grace].map(canRefresh))).toEqual([false, false, true]);
  });

  it('do their work once for a repeated request', async () => {
    const ada = await scene.founder();
    const other = await again(ada);
    const claims = { idempotencyKey: 'the others, please' };
    const first = await scene.user.ask(ada.viewer, OTHERS, {}, claims);
    const late = await again(ada);
    expect(await scene.user.ask(ada.viewer, OTHERS, {}, claims)).toEqual(first);
    expect([await canRefresh(other), await canRefresh(late)]).toEqual([false, true]);
  });

  it('end a session that is being refreshed at the same time', async () => {
    for (let n = 0; n < 10; n++) {
      const ada = await scene.founder();
      const other = await again(ada);
      const [refreshed] = await Promise.all([
        scene.send(REFRESH, { refreshToken: other.refreshToken }),
        scene.user.ask(ada.viewer, OTHERS),
      ]);
      const { refreshToken } = refreshed.auth;
      if (refreshToken) expect((await scene.send(REFRESH, { refreshToken })).auth.success).toBe(false);
      expect([await canRefresh(other), await isTold(other)]).toEqual([false, true]);
    }
  });
});

describe('two replicas of the service', () => {
  it('make one child of fifty refreshes at once', async () => {
    const { appUrl, systemUrl } = scene.user.database;
    const replica = createService(
      readUserConfig({
        ...{ LOG_LEVEL: 'silent', USER_PORT: '0', REDIS_URL: scene.redis.url },
        ...{ USER_DATABASE_URL: appUrl, USER_SYSTEM_DATABASE_URL: systemUrl },
        USER_CONTEXT_KEY: scene.user.ring.map(({ id, secret }) => `${id}:${secret}`).join(','),
      }),
      { redisPrefix: scene.redis.prefix },
    );
    await replica.start();
    onTestFinished(replica.stop);
    const ada = await scene.founder();
    const atReplica = async () => {
      const body = JSON.stringify({
        query: REFRESH,
        variables: { input: { refreshToken: ada.refreshToken } },
      });
      const claims = { viewer: null, requestId: randomUUID(), audience: 'user' };
      const response = await fetch(`${replica.url}/graphql`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          [CONTEXT_HEADER]: signContext(scene.user.ring, claims, body),
        },
        body,
      });
      const { data } = (await response.json()) as { data: { tokenRefresh: { refreshToken: string | null } } };
      return data.tokenRefresh.refreshToken;
    };
    const atFirst = async () =>
      (await scene.send(REFRESH, { refreshToken: ada.refreshToken })).auth.refreshToken;
    const children = await Promise.all(
      Array.from({ length: 50 }, (_, n) => (n % 2 === 0 ? atFirst() : atReplica())),
    );
    expect(new Set(children).size).toBe(1);
    expect(children[0]).toMatch(/^rt_/);
    const rows = await scene.sql('select from refresh_tokens where session_id = $1', [idOf(ada)]);
    expect(rows).toHaveLength(2);
  });
});

describe('the audit log', () => {
  it('has a line for each sign-in, and for a session that its person has ended', async () => {
    const ada = await scene.founder();
    const phone = await again(ada);
    await scene.user.ask(phone.viewer, LOGOUT);
    await scene.user.ask(phone.viewer, LOGOUT);
    const { orgId } = ada.viewer;
    const own = { actor_id: ada.user.id };
    expect(await linesOf(orgId, 'login.succeeded')).toMatchObject([
      { ...own, target_id: idOf(phone), session_id: idOf(phone) },
    ]);
    expect(await linesOf(orgId, 'organization.founded')).toMatchObject([{ ...own, session_id: idOf(ada) }]);
    expect(await linesOf(orgId, 'session.revoked')).toMatchObject([{ ...own, target_id: idOf(phone) }]);
  });

  it('has a line for a refresh token that was used again, by nobody known, from where it was', async () => {
    const ada = await scene.founder();
    const second = (await scene.send(REFRESH, { refreshToken: ada.refreshToken })).auth.refreshToken;
    await scene.send(REFRESH, { refreshToken: second });
    const thief = { clientAddress: '192.0.2.66', userAgent: 'thief/1.0' };
    for (let n = 0; n < 2; n++) await scene.send(REFRESH, { refreshToken: ada.refreshToken }, thief);
    const { orgId } = ada.viewer;
    expect(await linesOf(orgId, 'refresh-token.reused')).toEqual([
      { action: 'refresh-token.reused', target_id: idOf(ada), actor_id: null, session_id: idOf(ada) },
    ]);
    const [line] = await scene.sql<{ details: string }>(
      `select d.details from audit_details d join audit_entries e on e.org_id = d.org_id and e.id = d.entry_id
         where e.org_id = $1 and e.action = 'refresh-token.reused'`,
      [orgId],
    );
    expect(JSON.parse(line?.details ?? '')).toMatchObject({
      ...{ address: '192.0.2.66', userAgent: 'thief/1.0', after: { userId: ada.user.id } },
    });
    expect(line?.details).not.toContain(ada.refreshToken.slice(-43));
  });
});
