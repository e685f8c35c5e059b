import { createLog } from '@taskflow/kit/log';
import { createRedis, type RedisConnections } from '@taskflow/kit/redis';
import { makeFact } from '@taskflow/schema/events';
import { bytesOf } from '@taskflow/tests/kit/client';
import { until } from '@taskflow/tests/kit/until';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ACCEPT, anEmail, aScene, LOGIN, PASSWORD, type Person, REFRESH, type Scene } from './scene.ts';

let scene: Scene;
let redis: RedisConnections;

beforeAll(async () => {
  scene = await aScene();
  redis = createRedis({ ...scene.redis, log: createLog({ process: 'test', level: 'silent' }) });
  await redis.whenReady();
});
afterAll(() => redis.close());

function changed({ viewer }: Person, version: number, status: 'ACTIVE' | 'SUSPENDED') {
  const { orgId } = viewer;
  const image = { name: 'Ada & Co', taskVisibility: 'ASSIGNED' as const };
  return makeFact({
    type: status === 'SUSPENDED' ? 'organization.suspended' : 'organization.reinstated',
    ...{ orgId, aggregate: { id: orgId, version }, actor: { userId: null }, requestId: 'operator' },
    before: { ...image, status: status === 'SUSPENDED' ? 'ACTIVE' : 'SUSPENDED' },
    after: { ...image, status },
  });
}
type Told = ReturnType<typeof changed>;
async function tell(...facts: Told[]) {
  await scene.user.deliver(...facts);
  await scene.user.settled(...facts);
}
const login = (email: string) => scene.send(LOGIN, { email, password: PASSWORD });
const standing = ({ viewer }: Person) => redis.commands.get(redis.keys.organizationStanding(viewer.orgId));
const stored = async ({ viewer }: Person) =>
  (
    await scene.sql<{ version: number; isSuspended: boolean }>(
      `select version, suspended_at is not null as "isSuspended" from organizations where org_id = $1`,
      [viewer.orgId],
    )
  )[0];

describe('a suspended organisation', () => {
  it('is signed in to by nobody, in no way, with the bytes of any wrong attempt', async () => {
    const ada = await scene.founder();
    const token = await scene.invite(ada, anEmail());
    const wrong = {
      login: await login(anEmail('nobody')),
      refresh: await scene.send(REFRESH, { refreshToken: 'rt_garbage' }),
      accept: await scene.send(ACCEPT, { token: 'inv_garbage', name: 'Grace', password: PASSWORD }),
    };
    await tell(changed(ada, 2, 'SUSPENDED'));
    const now = {
      login: await login(ada.email),
      refresh: await scene.send(REFRESH, { refreshToken: ada.refreshToken }),
      accept: await scene.send(ACCEPT, { token, name: 'Grace', password: PASSWORD }),
    };
    for (const way of ['login', 'refresh', 'accept'] as const) {
      expect(bytesOf(now[way]), way).toBe(bytesOf(wrong[way]));
    }
    expect(
      await scene.sql(`select from accounts a join invites i using (email) where i.org_id = $1`, [
        ada.viewer.orgId,
      ]),
    ).toEqual([]);

    await tell(changed(ada, 3, 'ACTIVE'));
    expect((await login(ada.email)).auth.success).toBe(true);
    expect((await scene.send(REFRESH, { refreshToken: ada.refreshToken })).auth.success).toBe(true);
    const accepted = await scene.send(ACCEPT, { token, name: 'Grace', password: PASSWORD });
    expect(accepted.auth.success).toBe(true);
  });

  it('does not keep its people out of their other organisations', async () => {
    const [ada, bob] = [await scene.founder('Ada'), await scene.founder('Bob')];
    const token = await scene.invite(ada, bob.email);
    await scene.send(ACCEPT, { token, name: 'Bob', password: PASSWORD });
    expect(scene.viewerOf(await login(bob.email)).orgId).toBe(ada.viewer.orgId);
    await tell(changed(ada, 2, 'SUSPENDED'));
    expect(scene.viewerOf(await login(bob.email)).orgId).toBe(bob.viewer.orgId);
    const { data } = await scene.user.send(
      bob.viewer,
      `mutation ($input: SessionSwitchOrganizationInput!) { sessionSwitchOrganization(input: $input) {
         success userErrors { code } } }`,
      { input: { organizationId: ada.viewer.orgId } },
    );
    expect(data).toMatchObject({ sessionSwitchOrganization: { userErrors: [{ code: 'NOT_FOUND' }] } });
  });

  it('is told to the routers once for all, however often the fact is delivered, and never by a late one', async () => {
    const ada = await scene.founder();
    const [suspended, reinstated] = [changed(ada, 2, 'SUSPENDED'), changed(ada, 3, 'ACTIVE')];
    await tell(suspended, suspended);
    expect([await standing(ada), await stored(ada)]).toEqual([
      '2 SUSPENDED',
      { version: 2, isSuspended: true },
    ]);
    await tell(reinstated, suspended, reinstated);
    expect([await standing(ada), await stored(ada)]).toEqual([
      '3 ACTIVE',
      { version: 3, isSuspended: false },
    ]);
    const late = changed(ada, 2, 'SUSPENDED');
    await tell(late);
    expect([await standing(ada), await stored(ada)]).toEqual([
      '3 ACTIVE',
      { version: 3, isSuspended: false },
    ]);
  });

  it('stays suspended when its name changes', async () => {
    const ada = await scene.founder();
    const suspended = changed(ada, 2, 'SUSPENDED');
    const { orgId } = ada.viewer;
    const renamed = makeFact({
      type: 'organization.updated',
      ...{ orgId, aggregate: { id: orgId, version: 3 }, actor: { userId: null }, requestId: 'operator' },
      ...{ before: suspended.after, after: { ...suspended.after, name: 'Renamed' } },
    });
    await tell(suspended);
    await scene.user.deliver(renamed, renamed);
    await scene.user.settled(renamed);
    expect(await stored(ada)).toEqual({ version: 3, isSuspended: true });
    expect((await login(ada.email)).auth.success).toBe(false);
  });

  it('is told again when the process died between telling and committing', async () => {
    const ada = await scene.founder();
    // What a crash leaves: the routers were told or not, and the fact was not handled. It is delivered again.
    await redis.commands.set(redis.keys.organizationStanding(ada.viewer.orgId), '2 SUSPENDED', 'EX', 60);
    await tell(changed(ada, 2, 'SUSPENDED'));
    expect(await standing(ada)).toBe('2 SUSPENDED');
    expect(await stored(ada)).toEqual({ version: 2, isSuspended: true });
  });

  it('is told for as long as a token lives, and longer than that nobody can have one', async () => {
    const ada = await scene.founder();
    await tell(changed(ada, 2, 'SUSPENDED'));
    const ms = await redis.commands.pttl(redis.keys.organizationStanding(ada.viewer.orgId));
    expect(ms).toBeGreaterThan(600_000);
    expect(ms).toBeLessThanOrEqual(660_000);
  });

  it('is heard by who listens', async () => {
    const ada = await scene.founder();
    const heard: string[] = [];
    const listener = redis.subscriber;
    await listener.subscribe(redis.keys.controlChannel(ada.viewer.orgId));
    listener.on('message', (_channel, message) => void heard.push(String(message)));
    await tell(changed(ada, 2, 'SUSPENDED'));
    await until('the message', () => Promise.resolve(heard.length > 0));
    expect(JSON.parse(heard[0] ?? '')).toEqual({ user: '*', standing: '2 SUSPENDED' });
  });
});
