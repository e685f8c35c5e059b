/** What the routers are told, and that they are told it later when Redis was away. */
import { createKeys } from '@taskflow/kit/keys';
import { startOwnRedis } from '@taskflow/tests/kit/redis';
import { until } from '@taskflow/tests/kit/until';
import { expect, it } from 'vitest';
import { aScene, LOGOUT, type Scene } from './scene.ts';

const keysOf = (scene: Scene) => createKeys(scene.redis.prefix);

it('what was revoked while Redis was away is told when it is back', async () => {
  const redis = await startOwnRedis();
  const scene = await aScene({ REDIS_URL: redis.url });
  const [ada, bob] = [await scene.founder(), await scene.founder('Bob')];
  await redis.stop();
  await scene.user.ask(ada.viewer, LOGOUT);
  await scene.sql(
    `update members set status = 'SUSPENDED', epoch = 2, version = 2, updated_at = now() where id = $1`,
    [bob.user.id],
  );
  await scene.sql(
    `update organizations set suspended_at = now(), version = 3, updated_at = now() where org_id = $1`,
    [bob.viewer.orgId],
  );
  await redis.restart();
  const { commands } = await redis.connect();
  const keys = keysOf(scene);
  const { orgId, sessionId } = ada.viewer;
  await until(
    'the session to be told',
    async () => (await commands.get(keys.revokedKey(orgId, sessionId))) === '1',
  );
  const told = () =>
    commands.mget(
      keys.memberStanding(bob.viewer.orgId, bob.user.id),
      keys.organizationStanding(bob.viewer.orgId),
    );
  await until('the rest to be told', async () => (await told()).every(Boolean));
  expect(await told()).toEqual(['2 SUSPENDED', '3 SUSPENDED']);
});

it('a Redis that comes back without its data is told again', async () => {
  const redis = await startOwnRedis();
  const scene = await aScene({ REDIS_URL: redis.url });
  const ada = await scene.founder();
  await scene.user.ask(ada.viewer, LOGOUT);
  const { orgId, sessionId } = ada.viewer;
  const { commands: first } = await redis.connect();
  expect(await first.get(keysOf(scene).revokedKey(orgId, sessionId))).toBe('1');
  await redis.restart({ empty: true });
  const { commands } = await redis.connect();
  const keys = keysOf(scene);
  await until(
    'the session to be told',
    async () => (await commands.get(keys.revokedKey(orgId, sessionId))) === '1',
  );
});

it('a Redis that hangs holds up nobody for long, and is told once it answers', async () => {
  const redis = await startOwnRedis();
  const scene = await aScene({ REDIS_URL: redis.url });
  const ada = await scene.founder();
  redis.freeze();
  const startedAt = performance.now();
  expect((await scene.user.ask(ada.viewer, LOGOUT)).logout.success).toBe(true);
  expect(performance.now() - startedAt).toBeLessThan(1_500);
  redis.resume();
  const { commands } = await redis.connect();
  const { orgId, sessionId } = ada.viewer;
  await until(
    'the session to be told',
    async () => (await commands.get(keysOf(scene).revokedKey(orgId, sessionId))) === '1',
  );
});
