import { createHash, createPublicKey } from 'node:crypto';
import { hash, verify as verifyHash } from '@node-rs/argon2';
import { createLog } from '@taskflow/kit/log';
import { createRedis, type RedisConnections } from '@taskflow/kit/redis';
import { createSystemPool } from '@taskflow/kit/tenant-pool';
import { bytesOf } from '@taskflow/tests/kit/client';
import { startOwnRedis } from '@taskflow/tests/kit/redis';
import { until } from '@taskflow/tests/kit/until';
import { Redis } from 'ioredis';
import jsonwebtoken from 'jsonwebtoken';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readUserConfig } from '../src/config.ts';
import { deleteExpired } from '../src/data/retention.ts';
import { createService } from '../src/service.ts';
import {
  ACCEPT,
  anEmail,
  aScene,
  LOGIN,
  LOGOUT,
  PASSWORD,
  type Person,
  REFRESH,
  type Scene,
} from './scene.ts';

// The real library, with its calls counted.
vi.mock('@node-rs/argon2', { spy: true });

let scene: Scene;
let redis: RedisConnections;

beforeAll(async () => {
  scene = await aScene();
  redis = createRedis({ ...scene.redis, log: createLog({ process: 'test', level: 'silent' }) });
  await redis.whenReady();
});
afterAll(() => redis.close());

const login = (email: string, password = PASSWORD, clientAddress = '203.0.113.1') =>
  scene.send(LOGIN, { email, password }, { clientAddress });
const textOf = (query: unknown): string =>
  typeof query === 'string' ? query : String((query as { text?: unknown }).text ?? '');

/** Where Redis keeps the failures of an account from the address that `login` comes from. */
function windowOf(email: string) {
  const account = createHash('sha256').update(email).digest('hex');
  const address = '203.0.113.1';
  return {
    failures: redis.keys.loginFailures(account, address),
    lock: redis.keys.loginLock(account, address),
  };
}
/** As if the 15 minutes of the lock were over. */
async function unlock(email: string): Promise<void> {
  await redis.commands.del(windowOf(email).lock);
  await scene.sql(
    `update login_attempts set locked_until = now() where account_hash = sha256(convert_to($1, 'UTF8'))`,
    [email],
  );
}
/** As if the first failures had been 16 minutes ago. */
async function age(email: string, count: number): Promise<void> {
  const { failures } = windowOf(email);
  for (const member of await redis.commands.zrange(failures, '0', `${count - 1}`)) {
    await redis.commands.zincrby(failures, `${-16 * 60_000}`, member);
  }
}

const refresh = (refreshToken: string) => scene.send(REFRESH, { refreshToken });
const codeOf = ({ auth }: { auth: { success: boolean; userErrors: { code: string }[] } }) =>
  auth.success ? 'SUCCESS' : auth.userErrors[0]?.code;

describe('access tokens', () => {
  async function jwks(url = scene.user.url) {
    const response = await fetch(new URL('/.well-known/jwks.json', url));
    return { response, body: (await response.json()) as { keys: Record<string, string>[] } };
  }

  it('are ES256, of ten minutes, and verified with the key set as the router does it', async () => {
    const ada = await scene.founder();
    const { response, body } = await jwks();
    expect(response.headers.get('cache-control')).toBe('public, max-age=15');
    expect(body.keys).toHaveLength(1);
    expect(body.keys[0]).toMatchObject({ kty: 'EC', crv: 'P-256', alg: 'ES256', use: 'sig' });
    expect(body.keys[0]).not.toHaveProperty('d');
    const { header } = jsonwebtoken.decode(ada.accessToken, { complete: true }) ?? {};
    expect(header).toEqual({ alg: 'ES256', typ: 'at+jwt', kid: body.keys[0]?.kid });
    const key = createPublicKey({ key: body.keys[0] as Record<string, string>, format: 'jwk' });
    const claims = jsonwebtoken.verify(ada.accessToken, key, {
      ...{ algorithms: ['ES256'], issuer: 'taskflow', audience: 'taskflow-api' },
    }) as jsonwebtoken.JwtPayload;
    const { userId, orgId, role, sessionId } = ada.viewer;
    expect(claims).toMatchObject({ sub: userId, org_id: orgId, role, sid: sessionId, ep: 1 });
    expect((claims.exp ?? 0) - (claims.iat ?? 0)).toBeLessThanOrEqual(600);
    expect((claims.exp ?? 0) - (claims.iat ?? 0)).toBeGreaterThanOrEqual(599);
    expect(new Date(ada.accessTokenExpiresAt).getTime()).toBe((claims.exp ?? 0) * 1000);
  });

  it('name a retired key in the key set as long as its tokens may live', async () => {
    const insert = `insert into signing_keys (kid, public_jwk, private_key_encrypted, status, retired_at)
      values ($1, json_build_object('kid', $1::text), '', 'RETIRED', now() - $2::interval)`;
    await scene.sql(insert, ['old', '20 minutes']);
    await scene.sql(insert, ['ancient', '2 hours']);
    const active = (await jwks()).body.keys[0]?.kid;
    const { appUrl, systemUrl } = scene.user.database;
    const replica = createService(
      readUserConfig({
        ...{ LOG_LEVEL: 'silent', USER_PORT: '0', REDIS_URL: scene.redis.url },
        ...{ USER_DATABASE_URL: appUrl, USER_SYSTEM_DATABASE_URL: systemUrl },
      }),
      { redisPrefix: scene.redis.prefix },
    );
    await replica.start();
    try {
      expect((await jwks(replica.url)).body.keys.map(({ kid }) => kid)).toEqual([active, 'old']);
    } finally {
      await replica.stop();
    }
  });

  it('are signed with a key that is stored encrypted', async () => {
    const [row] = await scene.sql<{ key: Buffer }>('select private_key_encrypted as key from signing_keys');
    expect(() => createPublicKey({ key: row?.key as Buffer, format: 'der', type: 'spki' })).toThrow();
    expect(row?.key.toString('latin1')).not.toContain('\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07'); // OID of P-256
  });
});

describe('login', () => {
  it('signs in whatever the case of the address, and is open to whoever is signed in', async () => {
    const ada = await scene.founder();
    const answer = await login(` ${ada.email.toUpperCase()}`);
    expect(codeOf(answer)).toBe('SUCCESS');
    expect(answer.auth.syncId).toBeNull();
    const viewer = scene.viewerOf(answer);
    expect(viewer).toEqual({ ...ada.viewer, sessionId: viewer.sessionId });
    expect(viewer.sessionId).not.toBe(ada.viewer.sessionId);
    const bob = await scene.founder('Bob');
    const switched = await scene.user.send(bob.viewer, LOGIN, {
      input: { email: ada.email, password: PASSWORD },
    });
    expect(scene.viewerOf(switched).userId).toBe(ada.user.id);
  });

  it('keeps where the session came from, cut to what the table takes', async () => {
    const ada = await scene.founder();
    const claims = { clientAddress: '2001:db8::1', userAgent: 'x'.repeat(600) };
    const answer = await scene.send(LOGIN, { email: ada.email, password: PASSWORD }, claims);
    const [row] = await scene.sql<{ address: string; agent: string }>(
      'select address, user_agent as agent from sessions where id = $1',
      [scene.viewerOf(answer).sessionId],
    );
    expect(row).toEqual({ address: '2001:db8::1', agent: 'x'.repeat(500) });
  });

  it('answers the same bytes, after the same work, for an unknown address and a wrong password', async () => {
    const ada = await scene.founder();
    const counted = vi.mocked(verifyHash);
    const answers = [];
    for (const email of [ada.email, anEmail('nobody'), 'no address', 'nul\0@acme.test', '']) {
      counted.mockClear();
      const answer = await login(email, 'wrong password');
      expect(codeOf(answer)).toBe('INVALID_CREDENTIALS');
      expect(answer.headers.get('taskflow-established')).toBeNull();
      expect(counted).toHaveBeenCalledTimes(1);
      answers.push(answer);
    }
    expect(new Set(answers.map(bytesOf)).size).toBe(1);
  });

  it('does the same for a known and an unknown address: statements, Redis commands and one verification', async () => {
    const [ada, nobody] = [await scene.founder(), anEmail('nobody')];
    const sql = vi.spyOn(pg.Client.prototype, 'query');
    const commands = vi.spyOn(Redis.prototype, 'sendCommand');
    /** Without what the relay and its sisters ask in between. */
    const OURS = /login_attempts|accounts a\b/;
    const workOf = async (email: string, from: string) => {
      for (const spy of [sql, commands, vi.mocked(verifyHash)]) spy.mockClear();
      expect(codeOf(await login(email, 'wrong password', from))).toBe('INVALID_CREDENTIALS');
      const texts = sql.mock.calls.map(([query]) => textOf(query)).filter((text) => OURS.test(text));
      const evals = commands.mock.calls.filter(([command]) => /login:/.test(String(command.args[2])));
      return { texts, evals: evals.length, verifications: vi.mocked(verifyHash).mock.calls.length };
    };
    try {
      for (let n = 0; n < 4; n++) {
        const known = await workOf(ada.email, '203.0.113.21');
        expect(await workOf(nobody, '203.0.113.21')).toEqual(known);
        expect(known).toMatchObject({ evals: 2, verifications: 1 });
        expect(known.texts.length).toBeGreaterThanOrEqual(2);
      }
      // The fifth locks both, in PostgreSQL too; the audit log of one of them is written after the answer.
      const locks = async (email: string) =>
        (await workOf(email, '203.0.113.21')).texts.filter((text) => /insert into login_attempts/.test(text));
      expect(await locks(ada.email)).toHaveLength(1);
      expect(await locks(nobody)).toHaveLength(1);
    } finally {
      sql.mockRestore();
      commands.mockRestore();
    }
  });

  it('verifies an unknown address against a hash of the same cost', async () => {
    const counted = vi.mocked(verifyHash);
    counted.mockClear();
    await login(anEmail('nobody'), 'wrong password');
    expect(counted.mock.calls[0]?.[0]).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  });

  it('hashes a password again whose hash has old parameters, when it is right and not before', async () => {
    const ada = await scene.founder();
    const old = await hash(PASSWORD, { memoryCost: 1_024, timeCost: 1, parallelism: 1 });
    await scene.sql('update accounts set password_hash = $1 where id = $2', [old, ada.user.id]);
    const stored = async () => {
      const rows = await scene.sql<{ hash: string }>(
        'select password_hash as hash from accounts where id = $1',
        [ada.user.id],
      );
      return rows[0]?.hash ?? '';
    };
    expect(codeOf(await login(ada.email, 'wrong password'))).toBe('INVALID_CREDENTIALS');
    expect(await stored()).toBe(old);
    expect(codeOf(await login(ada.email))).toBe('SUCCESS');
    const renewed = await stored();
    expect(renewed).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect(codeOf(await login(ada.email))).toBe('SUCCESS');
    expect(await stored()).toBe(renewed);
  });

  it.each(['SUSPENDED', 'REMOVED'])('refuses a %s member like a wrong password', async (status) => {
    const ada = await scene.founder();
    const wrong = await login(ada.email, 'wrong password');
    await scene.sql(
      `update members set status = $1, archived_at = case when $1 = 'REMOVED' then now() end where id = $2`,
      [status, ada.user.id],
    );
    expect(bytesOf(await login(ada.email))).toBe(bytesOf(wrong));
    // Counted alike too: a right password that were forgiven here would be told apart by the lock that never comes.
    for (let n = 0; n < 3; n++) expect(codeOf(await login(ada.email))).toBe('INVALID_CREDENTIALS');
    expect(codeOf(await login(ada.email))).toBe('ACCOUNT_LOCKED');
  });

  it('signs in to the organisation joined last, or to another one while the person is not active there', async () => {
    const [ada, bob] = [await scene.founder(), await scene.founder('Bob')];
    const token = await scene.invite(bob, ada.email);
    const joined = await scene.send(ACCEPT, { token, name: 'Ada B', password: PASSWORD });
    expect(codeOf(joined)).toBe('SUCCESS');
    expect(scene.viewerOf(await login(ada.email)).orgId).toBe(bob.viewer.orgId);
    await scene.sql(`update members set status = 'SUSPENDED' where org_id = $1 and id = $2`, [
      ...[bob.viewer.orgId, ada.user.id],
    ]);
    expect(scene.viewerOf(await login(ada.email))).toMatchObject({
      ...{ orgId: ada.viewer.orgId, role: 'ORG_ADMIN' },
    });
  });
});

describe('the lock', () => {
  it('comes after exactly five failures, says for how long, and stands before the right password as well', async () => {
    const ada = await scene.founder();
    for (let n = 0; n < 5; n++) {
      expect(codeOf(await login(ada.email, 'wrong password'))).toBe('INVALID_CREDENTIALS');
    }
    for (const password of ['wrong password', PASSWORD]) {
      const answer = await login(ada.email, password);
      expect(codeOf(answer)).toBe('ACCOUNT_LOCKED');
      const { retryAfterMs } = answer.auth.userErrors[0] ?? {};
      expect(retryAfterMs).toBeGreaterThan(14 * 60_000);
      expect(retryAfterMs).toBeLessThanOrEqual(15 * 60_000);
    }
  });

  it('holds from that network address only', async () => {
    const ada = await scene.founder();
    for (let n = 0; n < 6; n++) await login(ada.email, 'wrong password');
    expect(codeOf(await login(ada.email))).toBe('ACCOUNT_LOCKED');
    expect(codeOf(await login(ada.email, PASSWORD, '203.0.113.2'))).toBe('SUCCESS');
    expect(codeOf(await login(ada.email))).toBe('ACCOUNT_LOCKED');
    const bob = await scene.founder('Bob');
    expect(codeOf(await login(bob.email))).toBe('SUCCESS');
  });

  it('is the same for an address that nobody has', async () => {
    const email = anEmail('nobody');
    for (let n = 0; n < 5; n++) {
      expect(codeOf(await login(email, 'wrong password'))).toBe('INVALID_CREDENTIALS');
    }
    expect(codeOf(await login(email, 'wrong password'))).toBe('ACCOUNT_LOCKED');
  });

  it('counts exactly five of twenty failures at once', async () => {
    const ada = await scene.founder();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => login(ada.email, 'wrong password', '203.0.113.7')),
    );
    const codes = answers.map(codeOf);
    expect(codes.filter((code) => code === 'INVALID_CREDENTIALS')).toHaveLength(5);
    expect(codes.filter((code) => code === 'ACCOUNT_LOCKED')).toHaveLength(15);
  });

  it('never comes from twenty successes at once', async () => {
    const ada = await scene.founder();
    const answers = await Promise.all(Array.from({ length: 20 }, () => login(ada.email)));
    expect(new Set(answers.map(codeOf))).toEqual(new Set(['SUCCESS']));
  });

  it('is forgotten with a success, after its time, and when failures lie far apart', async () => {
    const ada = await scene.founder();
    const fail = async (times: number) => {
      for (let n = 0; n < times; n++) {
        expect(codeOf(await login(ada.email, 'wrong password'))).toBe('INVALID_CREDENTIALS');
      }
    };
    await fail(4);
    expect(codeOf(await login(ada.email))).toBe('SUCCESS');
    await fail(5);
    expect(codeOf(await login(ada.email))).toBe('ACCOUNT_LOCKED');
    await unlock(ada.email);
    await fail(4);
    await age(ada.email, 4);
    await fail(5);
    expect(codeOf(await login(ada.email))).toBe('ACCOUNT_LOCKED');
    await unlock(ada.email);
    expect(codeOf(await login(ada.email))).toBe('SUCCESS');
  });

  it('counts the failures of the last 15 minutes, whichever they are: the window slides', async () => {
    const ada = await scene.founder();
    const fail = async () => codeOf(await login(ada.email, 'wrong password'));
    for (let n = 0; n < 4; n++) expect(await fail()).toBe('INVALID_CREDENTIALS');
    await age(ada.email, 2);
    for (let n = 0; n < 3; n++) expect(await fail()).toBe('INVALID_CREDENTIALS');
    expect(await fail()).toBe('ACCOUNT_LOCKED');
  });

  it('keeps in Redis nothing beyond its time, and neither an address nor a password', async () => {
    const ada = await scene.founder();
    await login(ada.email, 'wrong password');
    const { failures, lock } = windowOf(ada.email);
    expect(await redis.commands.pttl(failures)).toBeGreaterThan(14 * 60_000);
    for (let n = 0; n < 4; n++) await login(ada.email, 'wrong password');
    expect(await redis.commands.exists(failures)).toBe(0);
    expect(await redis.commands.pttl(lock)).toBeLessThanOrEqual(15 * 60_000);
    expect(`${failures} ${lock}`).not.toContain(ada.email);
  });

  it('counts all addresses of one IPv6 network as one', async () => {
    const ada = await scene.founder();
    for (let n = 0; n < 5; n++) {
      const from = `2001:db8:7:7::${n}`;
      expect(codeOf(await login(ada.email, 'wrong password', from))).toBe('INVALID_CREDENTIALS');
    }
    expect(codeOf(await login(ada.email, PASSWORD, '2001:db8:7:7:ffff::1'))).toBe('ACCOUNT_LOCKED');
    expect(codeOf(await login(ada.email, PASSWORD, '2001:db8:7:8::1'))).toBe('SUCCESS');
  });

  it('stands in the audit log of the organisation, once', async () => {
    const ada = await scene.founder();
    for (let n = 0; n < 7; n++) await login(ada.email, 'wrong password');
    const lines = () =>
      scene.sql(`select from audit_entries where org_id = $1 and action = 'login.locked'`, [
        ada.viewer.orgId,
      ]);
    await until('the line', async () => (await lines()).length > 0);
    expect(await lines()).toHaveLength(1);
  });
});

describe('the lock, when Redis', () => {
  const failures = (down: Scene, email: string, times: number) =>
    Promise.all(Array.from({ length: times }, () => down.send(LOGIN, { email, password: 'wrong password' })));
  const tryRight = async (down: Scene, email: string) =>
    codeOf(await down.send(LOGIN, { email, password: PASSWORD }));

  it('is away: PostgreSQL counts exactly five of twenty at once, and its lock holds when Redis is back', async () => {
    const own = await startOwnRedis();
    const down = await aScene({ REDIS_URL: own.url });
    const ada = await down.founder();
    await own.stop();
    const codes = (await failures(down, ada.email, 20)).map(codeOf);
    expect(codes.filter((code) => code === 'INVALID_CREDENTIALS')).toHaveLength(5);
    await own.restart();
    for (let n = 0; n < 3; n++) expect(await tryRight(down, ada.email)).toBe('ACCOUNT_LOCKED');
  });

  it('loses its data after it has locked: the lock holds, from PostgreSQL', async () => {
    const own = await startOwnRedis();
    const down = await aScene({ REDIS_URL: own.url });
    const ada = await down.founder();
    await failures(down, ada.email, 6);
    await own.stop();
    expect(await tryRight(down, ada.email)).toBe('ACCOUNT_LOCKED');
    await own.restart({ empty: true });
    const connected = await own.connect();
    await connected.whenReady();
    expect(await tryRight(down, ada.email)).toBe('ACCOUNT_LOCKED');
  });

  it('freezes: people still sign in, and only the first waits for it', async () => {
    const own = await startOwnRedis();
    const down = await aScene({ REDIS_URL: own.url });
    const ada = await down.founder();
    expect(await tryRight(down, ada.email)).toBe('SUCCESS');
    own.freeze();
    try {
      expect(await tryRight(down, ada.email)).toBe('SUCCESS');
      expect(codeOf((await failures(down, ada.email, 1))[0] as never)).toBe('INVALID_CREDENTIALS');
    } finally {
      own.resume();
    }
  });
});

describe('tokenRefresh', () => {
  const shift = (person: Person, what: string) =>
    scene.sql(`update refresh_tokens set ${what} where session_id = $1`, [person.viewer.sessionId]);

  async function isRevoked(person: Person): Promise<boolean> {
    const [row] = await scene.sql<{ at: Date | null }>(
      'select revoked_at as at from sessions where id = $1',
      [person.viewer.sessionId],
    );
    return row?.at != null;
  }

  it('gives a new pair for the same session, with the tenant in the token', async () => {
    const ada = await scene.founder();
    expect(ada.refreshToken).toMatch(new RegExp(`^rt_${ada.viewer.orgId}_[A-Za-z0-9_-]{43}$`));
    const answer = await refresh(ada.refreshToken);
    expect(answer.auth).toMatchObject({ success: true, user: { id: ada.user.id, email: ada.email } });
    expect(answer.auth.refreshToken).not.toBe(ada.refreshToken);
    expect(scene.viewerOf(answer)).toEqual(ada.viewer);
    const claims = jsonwebtoken.decode(answer.auth.accessToken) as jsonwebtoken.JwtPayload;
    expect(claims.sid).toBe(ada.viewer.sessionId);
  });

  it('reads role and epoch again', async () => {
    const ada = await scene.founder();
    await scene.sql(`update members set role = 'MEMBER', epoch = 2 where id = $1`, [ada.user.id]);
    const { auth } = await refresh(ada.refreshToken);
    expect(jsonwebtoken.decode(auth.accessToken)).toMatchObject({ role: 'MEMBER', ep: 2 });
    expect(auth.user.role).toBe('MEMBER');
  });

  it('makes one child of fifty refreshes at once', async () => {
    const ada = await scene.founder();
    const answers = await Promise.all(Array.from({ length: 50 }, () => refresh(ada.refreshToken)));
    expect(new Set(answers.map(codeOf))).toEqual(new Set(['SUCCESS']));
    expect(new Set(answers.map(({ auth }) => auth.refreshToken)).size).toBe(1);
    const rows = await scene.sql('select from refresh_tokens where session_id = $1', [ada.viewer.sessionId]);
    expect(rows).toHaveLength(2);
    const [child] = answers;
    expect(codeOf(await refresh(child?.auth.refreshToken ?? ''))).toBe('SUCCESS');
  });

  it('gives the same child to the immediate parent within ten seconds, and ends the session after them', async () => {
    const ada = await scene.founder();
    const child = (await refresh(ada.refreshToken)).auth.refreshToken;
    await shift(ada, `used_at = used_at - interval '9 seconds'`);
    expect((await refresh(ada.refreshToken)).auth.refreshToken).toBe(child);
    await shift(ada, `used_at = used_at - interval '1 second'`);
    expect(codeOf(await refresh(ada.refreshToken))).toBe('INVALID_CREDENTIALS');
    expect(await isRevoked(ada)).toBe(true);
    expect(codeOf(await refresh(child))).toBe('INVALID_CREDENTIALS');
  });

  it('refuses a grandparent even within ten seconds, ends the session, and tells the routers', async () => {
    const ada = await scene.founder();
    const heard: unknown[] = [];
    const channel = redis.keys.controlChannel(ada.viewer.orgId);
    redis.subscriber.on('message', (on, text) => on === channel && heard.push(JSON.parse(text)));
    await redis.subscriber.subscribe(channel);
    const second = (await refresh(ada.refreshToken)).auth.refreshToken;
    const third = (await refresh(second)).auth.refreshToken;
    expect(codeOf(await refresh(ada.refreshToken))).toBe('INVALID_CREDENTIALS');
    expect(codeOf(await refresh(third))).toBe('INVALID_CREDENTIALS');
    const { userId, sessionId, orgId } = ada.viewer;
    await until('the message', () => heard.length > 0);
    expect(heard).toEqual([{ user: userId, sid: sessionId }]);
    expect(await redis.commands.get(redis.keys.revokedKey(orgId, sessionId))).toBe('1');
  });

  it('refuses garbage, unknown, expired, revoked and suspended with the same bytes', async () => {
    const people = [];
    for (let n = 0; n < 4; n++) people.push(await scene.founder());
    const [ada, expired, revoked, suspended] = people as [Person, Person, Person, Person];
    await shift(expired, `expires_at = now() - interval '1 second'`);
    await scene.user.ask(revoked.viewer, LOGOUT);
    await scene.sql(`update members set status = 'SUSPENDED' where id = $1`, [suspended.user.id]);
    const unknown = `${ada.refreshToken.slice(0, -43)}${'A'.repeat(43)}`;
    const stolen = ada.refreshToken.replace(ada.viewer.orgId, suspended.viewer.orgId);
    const tokens = [
      '',
      'garbage',
      "rt_'; drop table sessions; --",
      '\0',
      'x'.repeat(10_000),
      unknown,
      stolen,
    ];
    const others = [expired, revoked, suspended].map((person) => person.refreshToken);
    const answers = [];
    for (const token of [...tokens, ...others]) answers.push(await refresh(token));
    expect(new Set(answers.map(codeOf))).toEqual(new Set(['INVALID_CREDENTIALS']));
    expect(new Set(answers.map(bytesOf)).size).toBe(1);
    expect(codeOf(await refresh(ada.refreshToken))).toBe('SUCCESS');
  });
});

describe('logout', () => {
  it('ends the session, its refresh tokens and its access tokens, and no other session', async () => {
    const ada = await scene.founder();
    const elsewhere = await login(ada.email);
    const { logout } = await scene.user.ask(ada.viewer, LOGOUT);
    expect(logout).toEqual({ success: true, userErrors: [] });
    expect(codeOf(await refresh(ada.refreshToken))).toBe('INVALID_CREDENTIALS');
    expect(codeOf(await refresh(elsewhere.auth.refreshToken))).toBe('SUCCESS');
    const key = redis.keys.revokedKey(ada.viewer.orgId, ada.viewer.sessionId);
    expect(await redis.commands.get(key)).toBe('1');
    expect(await redis.commands.pttl(key)).toBeGreaterThan(600_000);
    expect((await scene.user.ask(ada.viewer, LOGOUT)).logout.success).toBe(true);
  });

  it('cannot end a session of somebody else', async () => {
    const ada = await scene.founder();
    let { refreshToken } = ada;
    for (const other of [await scene.colleague(ada), await scene.founder('Bob')]) {
      await scene.user.ask({ ...other.viewer, sessionId: ada.viewer.sessionId }, LOGOUT);
      const { auth } = await refresh(refreshToken);
      expect(auth.success).toBe(true);
      refreshToken = auth.refreshToken;
    }
  });
});

describe('retention', () => {
  it('deletes what nobody can use any more, and nothing else', async () => {
    const [ada, gone] = [await scene.founder(), await scene.founder('Gone')];
    for (let n = 0; n < 5; n++) {
      await login(ada.email, 'wrong password', '203.0.113.8');
      await login(gone.email, 'wrong password', '203.0.113.9');
    }
    await scene.sql(
      `update login_attempts set updated_at = now() - interval '3 days' where address = '203.0.113.9'`,
    );
    const session = [gone.viewer.sessionId];
    await scene.sql(
      `update refresh_tokens set expires_at = now() - interval '1 day' where session_id = $1`,
      session,
    );
    await scene.sql(`update sessions set expires_at = now() - interval '31 days' where id = $1`, session);
    const system = createSystemPool({ connectionString: scene.user.database.systemUrl });
    await deleteExpired({ system }).finally(() => system.end());
    const left = async (table: string, column: string, values: unknown[]) =>
      (await scene.sql(`select from ${table} where ${column} = any($1)`, [values])).length;
    const sessions = [ada.viewer.sessionId, gone.viewer.sessionId];
    expect(await left('sessions', 'id', sessions)).toBe(1);
    expect(await left('refresh_tokens', 'session_id', sessions)).toBe(1);
    expect(await left('login_attempts', 'address', ['203.0.113.8', '203.0.113.9'])).toBe(1);
    expect(codeOf(await refresh(ada.refreshToken))).toBe('SUCCESS');
  });
});
