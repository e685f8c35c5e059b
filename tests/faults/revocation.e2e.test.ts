/**
 * Revocation when Redis does its part badly or not at all. Lost messages cost a second. While Redis is away tokens are
 * verified alone for the rest of their ten minutes; refreshing is refused all the same, what a replica knows it keeps, and
 * what was revoked meanwhile is told as soon as Redis is back, even without its data.
 */
import { expect, it, onTestFinished } from 'vitest';
import {
  answersTo,
  everywhere,
  refresh,
  sessionIdOf,
  signIn,
  type Tokens,
  tell,
} from '../e2e/revocation/scene.ts';
import type { TestClient } from '../kit/client.ts';
import { type OwnRedis, startOwnRedis } from '../kit/redis.ts';
import { aMember, anOrg, type TestPerson } from '../kit/seed.ts';
import { aSupergraph, type TestSupergraph } from '../kit/supergraph.ts';
import { until } from '../kit/until.ts';

interface Scene {
  redis: OwnRedis;
  supergraph: TestSupergraph;
  replicas: TestClient[];
  ada: TestPerson;
  grace: TestPerson;
}

async function aScene(): Promise<Scene> {
  const redis = await startOwnRedis();
  const supergraph = await aSupergraph({ redisUrl: redis.url });
  onTestFinished(() => supergraph.stop());
  const replicas = [supergraph.client, await supergraph.anotherRouter()];
  const ada = await anOrg(supergraph.client, 'Ada');
  return { redis, supergraph, replicas, ada, grace: await aMember(ada) };
}

const REVOKED = { code: 'SESSION_REVOKED', closeCode: 4403 };

const suspend = (by: TestPerson, { id }: TestPerson) =>
  by.client.ask('mutation Suspend($id: ID!) { userSuspend(input: { id: $id }) { success } }', { id });
const revoke = (by: TestPerson, tokens: Tokens) =>
  by.client.ask('mutation Revoke($id: ID!) { sessionRevoke(input: { id: $id }) { success } }', {
    id: sessionIdOf(tokens),
  });

it('a message that is lost costs a second: the replicas find the key', async () => {
  const { redis, replicas, ada, grace } = await aScene();
  const phone = await signIn(replicas[0] as TestClient, grace);
  const [atPhone, atLaptop] = [await everywhere(replicas, phone), await everywhere(replicas, grace)];
  const { commands } = await redis.connect();
  // Keys can be written, and no message leaves.
  await commands.call('acl', 'setuser', 'default', '-publish');
  await expect(commands.publish('any', 'message')).rejects.toThrow(/NOPERM/);
  let since = performance.now();
  await revoke(grace, phone);
  tell('a revoked session without a message', await atPhone.gone(since, REVOKED));
  since = performance.now();
  await suspend(ada, grace);
  tell('a suspended member without a message', await atLaptop.gone(since, REVOKED));
  expect(await answersTo(replicas, ada)).toEqual(['ORG_ADMIN', 'ORG_ADMIN']);
}, 60_000);

it('without Redis what is known stays known, refreshing is refused at once, and the rest is told when it is back', async () => {
  const { redis, supergraph, replicas, ada, grace } = await aScene();
  const carl = await aMember(ada, 'MEMBER', 'Carl');
  const phone = await signIn(supergraph.client, grace);
  await answersTo(replicas, carl);
  await suspend(ada, carl);
  const refused = async () =>
    (await answersTo(replicas, carl)).every((answer) => answer === 'SESSION_REVOKED');
  await until('the suspension to be known', refused);
  const atPhone = await everywhere(replicas, phone);

  await redis.stop();
  expect(await answersTo(replicas, carl)).toEqual(['SESSION_REVOKED', 'SESSION_REVOKED']);
  await revoke(grace, phone);
  expect(await refresh(supergraph.client, phone)).toBeNull();
  expect(await refresh(supergraph.client, carl)).toBeNull();
  const newcomer = await supergraph.anotherRouter();
  expect(await answersTo([...replicas, newcomer], phone)).toEqual(['MEMBER', 'MEMBER', 'MEMBER']);
  expect(await answersTo([newcomer], carl)).toEqual(['MEMBER']);
  expect(await answersTo([...replicas, newcomer], grace)).toEqual(['MEMBER', 'MEMBER', 'MEMBER']);

  await redis.restart({ empty: true });
  tell('what was revoked without Redis, once it is back', await atPhone.gone(performance.now(), REVOKED));
  const all = [...replicas, newcomer];
  const everybodyKnows = async () =>
    [...(await answersTo(all, carl)), ...(await answersTo(all, phone))].every(
      (answer) => answer === 'SESSION_REVOKED',
    );
  await until('the replica that started without Redis to know as well', everybodyKnows);
  expect(await answersTo(all, grace)).toEqual(['MEMBER', 'MEMBER', 'MEMBER']);
}, 60_000);
