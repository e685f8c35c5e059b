/**
 * Signing keys rotate while people work: two routers, two replicas of the user service, wired crosswise, so that each router
 * learns the keys from the replica that does not sign the tokens it is shown first.
 *
 *   tokens ◀── user A ◀── router 1 ──▶ key set of user B
 *   tokens ◀── user B ◀── router 2 ──▶ key set of user A
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { readRouterConfig } from '@taskflow/router/config';
import { createRouter } from '@taskflow/router/server';
import { readUserConfig } from '@taskflow/user/config';
import { createService as createUser } from '@taskflow/user/service';
import { expect, it, onTestFinished } from 'vitest';
import { createTestClient, type TestClient } from '../kit/client.ts';
import { PASSWORD } from '../kit/seed.ts';
import { aSupergraph } from '../kit/supergraph.ts';

const ROTATIONS = 5;
const WORKERS = 4;
/** The proportions of production (5 s, 30 s; the routers ask every 10 s), but as quick as the routers' burst allows. */
const RULE = { USER_SIGNING_KEY_REREAD_MS: '100', USER_SIGNING_KEY_ANNOUNCE_MS: '600' };

/** A machine under the load of other tests is slow, and that is another test's business. */
const PATIENT = { ROUTER_SUBGRAPH_TIMEOUT_MS: '20000' };

interface Tokens {
  accessToken: string;
  refreshToken: string;
}

const REGISTER = `mutation Register($input: RegisterInput!) { register(input: $input) {
  success accessToken refreshToken userErrors { code } } }`;
const REFRESH = `mutation Refresh($token: String!) { tokenRefresh(input: { refreshToken: $token }) {
  success accessToken refreshToken userErrors { code } } }`;

it('five rotations in a row refuse no request', { timeout: 120_000 }, async () => {
  const { env, client, databases, redisPrefix } = await aSupergraph({
    env: { ...RULE, ...PATIENT },
  });
  const second = await aSecondHalf(env, redisPrefix);
  const routers = [client, second.client] as const;
  const seen = new Set<string>();
  let [requests, isOver] = [0, false];
  const refused: string[] = [];

  /** Gets a new token again and again, each signed by the key of that moment, and shows it to both routers. */
  async function work(n: number): Promise<void> {
    const mine = routers[n % 2] as TestClient;
    const input = {
      email: `worker-${n}@acme.test`,
      password: PASSWORD,
      name: 'Worker',
      organizationName: 'Acme',
    };
    let { register: tokens } = await mine.ask<{ register: Tokens }>(REGISTER, { input });
    while (!isOver) {
      seen.add(kidOf(tokens.accessToken));
      for (const router of routers) {
        const answer = await router.as(tokens.accessToken).send('{ viewer { id } }');
        requests++;
        if (answer.status !== 200 || answer.errors.length > 0) refused.push(answer.text);
      }
      const token = tokens.refreshToken;
      tokens = (await mine.ask<{ tokenRefresh: Tokens }>(REFRESH, { token })).tokenRefresh;
    }
  }

  const working = Promise.all(Array.from({ length: WORKERS }, (_, n) => work(n)));
  const operator = operatorOf(env, databases);
  for (let n = 0; n < ROTATIONS; n++) {
    await operator('keys', 'rotate', '--wait');
    await expect.poll(() => seen.size, { timeout: 20_000 }).toBe(n + 2);
  }
  isOver = true;
  await working;
  console.log(
    `key rotation: ${ROTATIONS} rotations, ${requests} requests at two routers, ${refused.length} refused`,
  );
  expect(refused).toEqual([]);
  expect(seen.size).toBe(ROTATIONS + 1);
  const listed = (await operator('keys', 'list')).trim().split('\n');
  expect(listed.map((line) => line.split(/ +/)[1])).toEqual(['ACTIVE', ...Array(ROTATIONS).fill('RETIRED')]);
});

/** Another router and another user service over the same databases; the wires of both pairs are crossed. */
async function aSecondHalf(env: NodeJS.ProcessEnv, redisPrefix: string) {
  const user = createUser(readUserConfig({ ...env, USER_PORT: '0' }), { redisPrefix });
  await user.start();
  const crossed = {
    ...{ ROUTER_PORT: '0', ROUTER_USER_URL: `${user.url}/graphql` },
    ROUTER_JWKS_URL: env.ROUTER_JWKS_URL,
  };
  const router = createRouter(readRouterConfig({ ...env, ...crossed }), { redisPrefix });
  await router.start();
  onTestFinished(async () => {
    await router.stop();
    await user.stop();
  });
  return { client: createTestClient(`${router.url}/graphql`) };
}

function operatorOf(
  env: NodeJS.ProcessEnv,
  databases: Record<string, { appUrl: string; systemUrl: string }>,
) {
  const script = new URL('../../dev/operator.ts', import.meta.url).pathname;
  const given: NodeJS.ProcessEnv = { ...env, PATH: process.env.PATH, TASKFLOW_DIR: '/nonexistent' };
  for (const [name, { appUrl, systemUrl }] of Object.entries(databases)) {
    given[`${name.toUpperCase()}_DATABASE_URL`] = appUrl;
    given[`${name.toUpperCase()}_SYSTEM_DATABASE_URL`] = systemUrl;
  }
  return async (...args: string[]): Promise<string> =>
    (await promisify(execFile)(process.execPath, [script, ...args], { env: given, timeout: 60_000 })).stdout;
}

const kidOf = (token: string): string =>
  JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid;
