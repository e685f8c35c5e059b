/** API keys over the whole supergraph with two routers: what they may, and how fast they may it no more. */
import { readRouterConfig } from '@taskflow/router/config';
import { createRouter } from '@taskflow/router/server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestClient, type TestClient } from '../../kit/client.ts';
import { aMember, anOrg, aTask, type TestPerson } from '../../kit/seed.ts';
import { openSocket } from '../../kit/socket.ts';
import { aSupergraph, type TestSupergraph } from '../../kit/supergraph.ts';

let supergraph: TestSupergraph;
/** Another replica of the router. */
let other: TestClient;
let ada: TestPerson;

beforeAll(async () => {
  supergraph = await aSupergraph();
  const { env, redisPrefix } = supergraph;
  const router = createRouter(readRouterConfig({ ...env, ROUTER_PORT: '0' }), { redisPrefix });
  await router.start();
  afterAll(() => router.stop());
  other = createTestClient(`${router.url}/graphql`);
  ada = await anOrg(supergraph.client, 'Ada');
});

type ApiScope = 'READ' | 'WRITE' | 'ADMIN';

async function aKey(by: TestPerson, ...scopes: ApiScope[]) {
  const { apiKeyCreate } = await by.client.ask<{ apiKeyCreate: { secret: string; apiKey: { id: string } } }>(
    'mutation ($input: ApiKeyCreateInput!) { apiKeyCreate(input: $input) { success userErrors { code message } secret apiKey { id } } }',
    { input: { name: 'A machine', scopes } },
  );
  const { secret, apiKey } = apiKeyCreate;
  return { secret, id: apiKey.id, client: supergraph.client.as(secret), there: other.as(secret) };
}

const TASK = `mutation ($title: String!) { taskCreate(input: { title: $title }) {
  success userErrors { code } task { title creator { name organization { name } } } } }`;
const VIEWER = '{ viewer { id role } }';
const codesOf = async (client: TestClient, query = VIEWER, variables = {}) =>
  (await client.send(query, variables)).errors.map(({ extensions }) => extensions.code);

/** What a revocation may take, with room for a machine that runs other tests beside. */
const SECONDS = { timeout: 5_000, interval: 20 };

describe('a key', () => {
  it('with READ reads as its maker, over HTTP and WebSocket, at every router, and writes nothing', async () => {
    const key = await aKey(ada, 'READ');
    for (const client of [key.client, key.there])
      expect(await client.ask<object>(VIEWER)).toEqual({ viewer: { id: ada.id, role: 'ORG_ADMIN' } });
    const socket = await openSocket(supergraph.url, key.secret);
    const events = socket.subscribe(
      'subscription { taskEvents { __typename ... on TaskChange { task { title creator { name } } } } }',
    );
    await events.nextOf('StreamHeartbeat');
    const { title } = await aTask(ada);
    expect((await events.nextOf('TaskChange')).task).toEqual({ title, creator: { name: 'Ada' } });
    const refused = await key.client.send(TASK, { title: 'No' });
    expect(refused.errors).toMatchObject([
      {
        message: 'The API key lacks the scope WRITE, which taskCreate needs.',
        extensions: { code: 'FORBIDDEN' },
      },
    ]);
  });

  it('with WRITE alone works, and is answered with what it wrote from every subgraph, and reads nothing else', async () => {
    const key = await aKey(ada, 'WRITE');
    const { taskCreate } = await key.client.ask<{ taskCreate: { task: object } }>(TASK, {
      title: 'By a machine',
    });
    expect(taskCreate.task).toMatchObject({
      title: 'By a machine',
      creator: { name: 'Ada', organization: {} },
    });
    expect(await codesOf(key.client)).toEqual(['FORBIDDEN']);
    const socket = await openSocket(supergraph.url, key.secret);
    const refused = await socket.subscribe('subscription { taskEvents { __typename } }').frame();
    expect([refused.type, refused.payload[0].extensions.code]).toEqual(['error', 'FORBIDDEN']);
  });

  it('administrates with ADMIN alone, and only as far as its maker', async () => {
    const grace = await aMember(ada, 'MEMBER');
    const invite = `mutation { inviteCreate(input: { email: "x${Date.now()}@acme.test", role: GUEST }) { success userErrors { code } } }`;
    const [work, admin, hers] = [
      await aKey(ada, 'READ', 'WRITE'),
      await aKey(ada, 'ADMIN'),
      await aKey(grace, 'ADMIN'),
    ];
    expect(await codesOf(work.client, invite)).toEqual(['FORBIDDEN']);
    const told = await hers.client.send<{ inviteCreate: object }>(invite);
    expect(told.data?.inviteCreate).toMatchObject({ success: false, userErrors: [{ code: 'FORBIDDEN' }] });
    expect((await admin.client.ask<{ inviteCreate: object }>(invite)).inviteCreate).toMatchObject({
      success: true,
    });
  });

  it.each([
    'mutation { logout { success } }',
    'mutation { apiKeyCreate(input: { name: "Child", scopes: [READ] }) { success } }',
    'mutation { passwordChange(input: { currentPassword: "x", newPassword: "y" }) { success } }',
    'mutation { organizationLeave(input: {}) { success } }',
    'mutation { sessionRevokeAll(input: {}) { success } }',
  ])('never becomes the person, whatever its scopes: %s', async (query) => {
    const key = await aKey(ada, 'READ', 'WRITE', 'ADMIN');
    expect(await codesOf(key.client, query)).toEqual(['FORBIDDEN']);
    expect(await codesOf(key.client)).toEqual([]);
  });

  it('is looked up by a field that no client can ask, see or guess', async () => {
    const query = `{ apiKeyIdentify(organizationId: "${ada.organizationId}", hash: "x") { id } }`;
    for (const client of [ada.client, supergraph.client, (await aKey(ada, 'READ', 'ADMIN')).client])
      expect(await codesOf(client, query)).toEqual(['GRAPHQL_VALIDATION_FAILED']);
    const told = await ada.client.send('{ __schema { types { name fields { name } } } }');
    expect(told.text).not.toMatch(/apiKeyIdentify|ApiKeyIdentity/);
  });
});

describe('within a second, at both routers', () => {
  const REVOKE = 'mutation ($id: ID!) { apiKeyRevoke(input: { id: $id }) { success } }';

  it('a revoked key is refused and its socket closed with 4403', async () => {
    const key = await aKey(ada, 'READ');
    const socket = await openSocket(other.url, key.secret);
    expect([await codesOf(key.client), await codesOf(key.there)]).toEqual([[], []]);
    const startedAt = performance.now();
    await ada.client.ask(REVOKE, { id: key.id });
    expect((await socket.closed).code).toBe(4403);
    await expect.poll(() => codesOf(key.client), SECONDS).toEqual(['SESSION_REVOKED']);
    await expect.poll(() => codesOf(key.there), SECONDS).toEqual(['SESSION_REVOKED']);
    console.log(`a revoked key: refused everywhere after ${Math.round(performance.now() - startedAt)} ms`);
  });

  it('the key of somebody who is suspended is refused, and works again when they are back', async () => {
    const grace = await aMember(ada, 'MEMBER');
    const key = await aKey(grace, 'READ');
    expect([await codesOf(key.client), await codesOf(key.there)]).toEqual([[], []]);
    const set = (field: string) =>
      ada.client.ask(`mutation { ${field}(input: { id: "${grace.id}" }) { success } }`);
    await set('userSuspend');
    await expect.poll(() => codesOf(key.client), SECONDS).toEqual(['SESSION_REVOKED']);
    await expect.poll(() => codesOf(key.there), SECONDS).toEqual(['SESSION_REVOKED']);
    await set('userReinstate');
    await expect.poll(() => codesOf(key.client), SECONDS).toEqual([]);
    await expect.poll(() => codesOf(key.there), SECONDS).toEqual([]);
  });

  it('a key has the new role of its maker, and never expires for it', async () => {
    const grace = await aMember(ada, 'MEMBER');
    const key = await aKey(grace, 'READ');
    const roleOf = async (client: TestClient) => {
      const { data, errors } = await client.send<{ viewer: { role: string } }>(VIEWER);
      expect(errors).toEqual([]);
      return data?.viewer.role;
    };
    expect([await roleOf(key.client), await roleOf(key.there)]).toEqual(['MEMBER', 'MEMBER']);
    await ada.client.ask(
      `mutation { userRoleChange(input: { id: "${grace.id}", role: GUEST }) { success userErrors { code } } }`,
    );
    await expect.poll(() => roleOf(key.client), SECONDS).toBe('GUEST');
    await expect.poll(() => roleOf(key.there), SECONDS).toBe('GUEST');
    const mine = '{ apiKeys { nodes { id } } }';
    expect(await codesOf(key.client, mine)).toEqual(['FORBIDDEN']);
  });
});
