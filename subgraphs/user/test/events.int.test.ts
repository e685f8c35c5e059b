import { spawn } from 'node:child_process';
import { CONTEXT_HEADER, signContext } from '@taskflow/kit/identity';
import { createLog } from '@taskflow/kit/log';
import { createRedis } from '@taskflow/kit/redis';
import { type AnyFact, parseFact } from '@taskflow/schema/events';
import { aDatabase } from '@taskflow/tests/kit/postgres';
import { startOwnRedis } from '@taskflow/tests/kit/redis';
import { until } from '@taskflow/tests/kit/until';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { readUserConfig } from '../src/config.ts';
import { createDatabase } from '../src/data/database.ts';
import { createUserStore } from '../src/data/store.ts';
import { createSigningKeys } from '../src/domain/signing-keys.ts';
import { createService } from '../src/service.ts';
import {
  ACCEPT,
  type Auth,
  anEmail,
  aScene,
  LOGIN,
  LOGOUT,
  PASSWORD,
  REFRESH,
  REGISTER,
  type Scene,
} from './scene.ts';

let scene: Scene;

beforeAll(async () => {
  scene = await aScene();
});

/** All but the requests for mails, which are nobody's history. */
const factsOf = async (orgId: string): Promise<AnyFact[]> =>
  (
    await scene.sql<{ envelope: unknown }>(
      `select envelope from outbox where org_id = $1 and type <> 'mail.requested' order by id`,
      [orgId],
    )
  ).map(({ envelope }) => parseFact(envelope));

describe('the facts of user', () => {
  it('tell of a founding: the organisation, then its first member; syncId names the last', async () => {
    const ada = await scene.founder('Ada');
    const { orgId, userId } = ada.viewer;
    const facts = await factsOf(orgId);
    expect(facts).toMatchObject([
      {
        ...{ type: 'organization.founded', aggregate: { id: orgId, version: 1 }, actor: { userId } },
        after: { name: 'Ada & Co', founderId: userId },
      },
      {
        ...{ type: 'member.joined', aggregate: { id: userId, version: 1 }, before: null },
        after: { id: userId, name: 'Ada', email: ada.email, role: 'ORG_ADMIN', status: 'ACTIVE' },
      },
    ]);
    expect(ada.syncId).toBe(`user.${facts[1]?.id}`);
  });

  it('tell of a newcomer as member.joined, and of one who comes back as member.updated', async () => {
    const ada = await scene.founder('Ada');
    const grace = await scene.colleague(ada);
    await scene.sql(
      `update members set status = 'REMOVED', archived_at = now(), version = version + 1 where id = $1`,
      [grace.user.id],
    );
    const token = await scene.invite(ada, grace.email, 'GUEST');
    const { auth } = await scene.send(ACCEPT, { token, name: 'Grace', password: PASSWORD });
    const [joined, back] = (await factsOf(ada.viewer.orgId)).slice(-2);
    expect(joined).toMatchObject({ type: 'member.joined', after: { id: grace.user.id, role: 'MEMBER' } });
    expect(back).toMatchObject({
      ...{ type: 'member.updated', aggregate: { id: grace.user.id, version: 3 } },
      ...{ before: { status: 'REMOVED', role: 'MEMBER' }, after: { status: 'ACTIVE', role: 'GUEST' } },
    });
    expect(auth.syncId).toBe(`user.${back?.id}`);
  });

  it('reach the work streams of those who consume them, in order', async () => {
    const log = createLog({ process: 'test', level: 'silent' });
    const redis = createRedis({ ...scene.redis, log });
    afterAll(() => redis.close());
    await redis.whenReady();
    const { viewer } = await scene.founder('Ada');
    const seen = await until('the facts in the streams', async () => {
      const found: string[] = [];
      for (let partition = 0; partition < 8; partition++) {
        for (const [, fields] of await redis.commands.xrange(
          redis.keys.workStream('user', partition),
          '-',
          '+',
        )) {
          const fact = JSON.parse(fields?.[1] ?? '{}');
          if (fact.orgId === viewer.orgId) found.push(fact.type);
        }
      }
      return found.length === 3 && found.sort();
    });
    expect(seen).toEqual(['mail.requested', 'member.joined', 'organization.founded']);
  });

  it('are not written for what nobody else sees: invites, logins, refreshes', async () => {
    const ada = await scene.founder('Ada');
    await scene.invite(ada, anEmail());
    expect(await factsOf(ada.viewer.orgId)).toHaveLength(2);
  });
});

describe('the service', () => {
  const configOf = (
    database: { appUrl: string; systemUrl: string },
    redisUrl: string,
    env: NodeJS.ProcessEnv = {},
  ) =>
    readUserConfig({
      ...{ LOG_LEVEL: 'silent', USER_PORT: '0', REDIS_URL: redisUrl },
      ...{ USER_DATABASE_URL: database.appUrl, USER_SYSTEM_DATABASE_URL: database.systemUrl },
      ...env,
    });

  it('shares one signing key among replicas that start together over an empty database', async () => {
    const { appUrl, systemUrl } = await aDatabase('user');
    const database = createDatabase({ url: appUrl, systemUrl, poolSize: 1, systemPoolSize: 10 });
    const { signingKeys } = createUserStore(database, { failuresMax: 5, lockMs: 1 });
    try {
      // Connections first: opening them one by one would put the replicas in a queue.
      await Promise.all(Array.from({ length: 10 }, () => database.system.query('select')));
      const replicas = Array.from({ length: 10 }, () =>
        createSigningKeys(signingKeys, { secret: 'a secret of all replicas', rereadMs: 5_000 }),
      );
      await Promise.all(replicas.map((keys) => keys.start()));
      const kids = await Promise.all(replicas.map(async (keys) => (await keys.active()).kid));
      expect(new Set(kids).size).toBe(1);
      expect((await replicas[0]?.jwks())?.keys).toMatchObject([{ kid: kids[0] }]);
    } finally {
      await database.close();
    }
  });

  it('refuses to start with another USER_SIGNING_KEY_SECRET than the keys were made with, and names it', async () => {
    const database = await aDatabase('user');
    const first = createService(configOf(database, scene.redis.url));
    await first.start();
    await first.stop();
    const other = createService(
      configOf(database, scene.redis.url, { USER_SIGNING_KEY_SECRET: 'quite another secret' }),
    );
    await expect(other.start()).rejects.toThrow(/USER_SIGNING_KEY_SECRET/);
  });

  it('writes no password and no token to its log, however talkative', async () => {
    const database = await aDatabase('user');
    const ring = scene.user.ring;
    const service = spawn(process.execPath, [new URL('../src/main.ts', import.meta.url).pathname], {
      env: {
        ...{ LOG_LEVEL: 'trace', USER_PORT: '0', REDIS_URL: scene.redis.url },
        ...{ USER_DATABASE_URL: database.appUrl, USER_SYSTEM_DATABASE_URL: database.systemUrl },
        USER_CONTEXT_KEY: ring.map(({ id, secret }) => `${id}:${secret}`).join(','),
      },
    });
    let output = '';
    for (const stream of [service.stdout, service.stderr]) stream.on('data', (chunk) => (output += chunk));
    const ended = new Promise((resolve) => service.once('exit', resolve));
    onTestFinished(() => void service.kill('SIGKILL'));
    const url = await until('the service', () => /listens on (\S+)/.exec(output)?.[1]);
    const send = async (query: string, input: object) => {
      const body = JSON.stringify({ query, variables: { input } });
      const context = signContext(ring, { viewer: null, requestId: 'canary', audience: 'user' }, body);
      const headers = { 'content-type': 'application/json', [CONTEXT_HEADER]: context };
      return (await fetch(`${url}/graphql`, { method: 'POST', headers, body })).json();
    };
    const person = {
      email: anEmail(),
      password: 'canary in the coal mine',
      name: 'A',
      organizationName: 'A',
    };
    const { data } = (await send(REGISTER, person)) as { data: { register: Auth } };
    const { accessToken, refreshToken } = data.register;
    await send(LOGIN, { email: person.email, password: 'canary of another mine' });
    await send(REFRESH, { refreshToken });
    await send(LOGIN, { email: 7, password: person.password });
    service.kill('SIGTERM');
    expect(await ended).toBe(0);
    expect(output).toContain('is serving');
    for (const secret of ['canary in', 'canary of', accessToken, refreshToken.slice(-43)]) {
      expect(output).not.toContain(secret);
    }
  });

  it('refuses to start as a role that sees every tenant', async () => {
    const database = await aDatabase('user');
    const service = createService(configOf({ ...database, appUrl: database.systemUrl }, scene.redis.url));
    await expect(service.start()).rejects.toThrow(/must not serve this database/);
  });
});

describe('without Redis', () => {
  it('people register, sign in, refresh and sign out; their facts wait', async () => {
    const redis = await startOwnRedis();
    await redis.stop();
    const down = await aScene({ REDIS_URL: redis.url });
    const ada = await down.founder();
    for (let n = 0; n < 5; n++) await down.send(LOGIN, { email: ada.email, password: 'wrong password' });
    const locked = await down.send(LOGIN, { email: ada.email, password: PASSWORD });
    expect(locked.auth.userErrors[0]?.code).toBe('ACCOUNT_LOCKED');
    const refreshed = await down.send(REFRESH, { refreshToken: ada.refreshToken });
    expect(refreshed.auth.success).toBe(true);
    expect((await down.user.ask(ada.viewer, LOGOUT)).logout.success).toBe(true);
    const after = await down.send(REFRESH, { refreshToken: refreshed.auth.refreshToken });
    expect(after.auth.success).toBe(false);
    // The founding, the member, and the mail to prove the address.
    expect(await down.sql('select from outbox where published_at is null')).toHaveLength(3);
  });
});
