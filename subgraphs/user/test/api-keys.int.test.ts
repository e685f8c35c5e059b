import { createHash, randomUUID } from 'node:crypto';
import type { Viewer } from '@taskflow/kit/identity';
import { beforeAll, describe, expect, it } from 'vitest';
import { ABSENT, aScene, ERRORS, type Person, type Scene } from './scene.ts';

const KEY =
  'id name prefix scopes createdBy { id } createdAt expiresAt lastUsedAt revokedAt requestsPerMinute';
const CREATE = `mutation ($input: ApiKeyCreateInput!) { apiKeyCreate(input: $input) { ${ERRORS} secret syncId apiKey { ${KEY} } } }`;
const REVOKE = `mutation ($input: ApiKeyRevokeInput!) { apiKeyRevoke(input: $input) { ${ERRORS} secret apiKey { id revokedAt } } }`;
const LIST = `query ($first: Int, $after: String) { apiKeys(first: $first, after: $after) {
  totalCount pageInfo { hasNextPage endCursor } nodes { ${KEY} } } }`;
const IDENTIFY = `query ($organizationId: ID!, $hash: String!) { apiKeyIdentify(organizationId: $organizationId, hash: $hash) {
  id userId role epoch scopes requestsPerMinute expiresAt } }`;

let scene: Scene;
beforeAll(async () => {
  scene = await aScene();
});

async function make(by: Pick<Person, 'viewer'>, input: object = {}) {
  const { apiKeyCreate } = await scene.user.ask(by.viewer, CREATE, {
    input: { name: 'Deploys', scopes: ['READ', 'WRITE'], ...input },
  });
  return apiKeyCreate;
}

const hashOf = (secret: string) => createHash('sha256').update(secret).digest('base64url');

/** As a router asks. */
async function identify(secret: string, organizationId = secret.split('_')[1]) {
  const answer = await scene.user.ask(null, IDENTIFY, { organizationId, hash: hashOf(secret) });
  return answer.apiKeyIdentify;
}

describe('an API key', () => {
  it('is shown once, and kept as a hash', async () => {
    const ada = await scene.founder();
    const { apiKey, secret, success } = await make(ada);
    expect(success).toBe(true);
    expect(secret).toMatch(new RegExp(`^key_${ada.viewer.orgId}_[A-Za-z0-9_-]{43}$`));
    expect(apiKey).toMatchObject({
      ...{ name: 'Deploys', scopes: ['READ', 'WRITE'], createdBy: { id: ada.viewer.userId } },
      ...{ expiresAt: null, lastUsedAt: null, revokedAt: null, requestsPerMinute: 600 },
      prefix: secret.split('_').slice(2).join('_').slice(0, 6),
    });
    const rows = await scene.sql<Record<string, unknown>>('select * from api_keys where id = $1', [
      apiKey.id,
    ]);
    expect(JSON.stringify(rows)).not.toContain(secret.slice(-37));
    expect(Buffer.from(rows[0]?.token_hash as Uint8Array).toString('base64url')).toBe(hashOf(secret));
  });

  it('does not show its secret again when the request is repeated', async () => {
    const { viewer } = await scene.founder();
    const input = { name: 'Twice', scopes: ['READ'] };
    const claims = { idempotencyKey: randomUUID() };
    const first = (await scene.user.ask(viewer, CREATE, { input }, claims)).apiKeyCreate;
    const second = (await scene.user.ask(viewer, CREATE, { input }, claims)).apiKeyCreate;
    expect([first.secret === null, second.secret, second.apiKey]).toEqual([false, null, first.apiKey]);
  });

  it.each([
    ['a name', { name: ' ' }, 'name'],
    ['a scope', { scopes: [] }, 'scopes'],
    ['a moment to come', { expiresAt: '2020-01-01T00:00:00Z' }, 'expiresAt'],
    ['a rate above nothing', { requestsPerMinute: 0 }, 'requestsPerMinute'],
    ['a rate that one process can serve', { requestsPerMinute: 6_001 }, 'requestsPerMinute'],
  ])('needs %s', async (_, input, field) => {
    const refused = await make(await scene.founder(), input);
    expect([refused.success, refused.userErrors]).toMatchObject([false, [{ code: 'BAD_USER_INPUT', field }]]);
  });

  it('is made by people alone: not by another key, whatever its scopes', async () => {
    const { viewer } = await scene.founder();
    const key: Viewer = { ...viewer, scopes: ['READ', 'WRITE', 'ADMIN'] };
    const answer = await scene.user.send(key, CREATE, { input: { name: 'Child', scopes: ['READ'] } });
    expect([answer.status, answer.errors[0]?.extensions?.code]).toEqual([403, 'FORBIDDEN']);
    expect(answer.errors[0]?.message).toBe('apiKeyCreate is for people: an API key may not do this.');
    expect(await scene.sql('select from api_keys where org_id = $1', [viewer.orgId])).toEqual([]);
  });

  it('is one of fifty that a person has at most, however many are asked for at once', async () => {
    const ada = await scene.founder();
    await scene.sql(
      `insert into api_keys (org_id, id, name, prefix, token_hash, scopes, requests_per_minute, created_by)
         select $1, gen_random_uuid(), 'old', 'abc', sha256(n::text::bytea), '{READ}', 60, $2 from generate_series(1, 48) n`,
      [ada.viewer.orgId, ada.viewer.userId],
    );
    const made = await Promise.all(Array.from({ length: 6 }, () => make(ada)));
    expect(made.filter(({ success }) => success)).toHaveLength(2);
    expect(made.find(({ success }) => !success)?.userErrors[0].code).toBe('QUOTA_EXCEEDED');
  });
});

describe('whom a key stands for', () => {
  it('is the person who made it, with their role of the moment', async () => {
    const ada = await scene.founder();
    const grace = await scene.colleague(ada);
    const { apiKey, secret } = await make(grace, {
      expiresAt: '2099-01-01T00:00:00.000Z',
      requestsPerMinute: 7,
    });
    expect(await identify(secret)).toEqual({
      ...{ id: apiKey.id, userId: grace.viewer.userId, role: 'MEMBER', epoch: 1, scopes: ['READ', 'WRITE'] },
      ...{ requestsPerMinute: 7, expiresAt: '2099-01-01T00:00:00.000Z' },
    });
    await scene.sql(`update members set role = 'MANAGER', epoch = 2 where id = $1`, [grace.viewer.userId]);
    expect(await identify(secret)).toMatchObject({ role: 'MANAGER', epoch: 2 });
  });

  it.each([
    ['was revoked', 'update api_keys set revoked_at = now() where org_id = $1'],
    ['has expired', `update api_keys set expires_at = now() - interval '1 second' where org_id = $1`],
    ['was made by somebody who is suspended', `update members set status = 'SUSPENDED' where org_id = $1`],
    [
      'belongs to a suspended organisation',
      'update organizations set suspended_at = now() where org_id = $1',
    ],
  ])('is nobody when the key %s', async (_, change) => {
    const ada = await scene.founder();
    const { secret } = await make(ada);
    expect(await identify(secret)).not.toBeNull();
    await scene.sql(change, [ada.viewer.orgId]);
    expect(await identify(secret)).toBeNull();
  });

  it('is nobody for another secret, another organisation, and garbage', async () => {
    const [ada, mallory] = [await scene.founder(), await scene.founder('Mallory')];
    const { secret } = await make(ada);
    expect(await identify(`${secret.slice(0, -1)}${secret.endsWith('A') ? 'B' : 'A'}`)).toBeNull();
    expect(await identify(secret, mallory.viewer.orgId)).toBeNull();
    expect(await identify(secret, ABSENT)).toBeNull();
    expect(await identify(secret, 'garbage')).toBeNull();
    const short = { organizationId: ada.viewer.orgId, hash: 'abc' };
    expect((await scene.user.ask(null, IDENTIFY, short)).apiKeyIdentify).toBeNull();
  });

  it('is not told to anybody who is signed in', async () => {
    const ada = await scene.founder();
    const { secret } = await make(ada);
    const variables = { organizationId: ada.viewer.orgId, hash: hashOf(secret) };
    expect((await scene.user.ask(ada.viewer, IDENTIFY, variables)).apiKeyIdentify).toBeNull();
  });

  it('is noted as a use once a minute at most', async () => {
    const { viewer } = await scene.founder();
    const { apiKey, secret } = await make({ viewer });
    const lastUsed = async () =>
      (
        await scene.sql<{ at: Date | null }>('select last_used_at as at from api_keys where id = $1', [
          apiKey.id,
        ])
      )[0]?.at;
    await Promise.all(Array.from({ length: 5 }, () => identify(secret)));
    const first = await lastUsed();
    expect(first).not.toBeNull();
    await identify(secret);
    expect(await lastUsed()).toEqual(first);
    await scene.sql(`update api_keys set last_used_at = now() - interval '61 seconds' where id = $1`, [
      apiKey.id,
    ]);
    await identify(secret);
    expect((await lastUsed())?.getTime()).toBeGreaterThanOrEqual(first?.getTime() ?? Infinity);
  });
});

describe('the list of keys', () => {
  it("has one's own, newest first, page by page; for an ORG_ADMIN everybody's", async () => {
    const ada = await scene.founder();
    const grace = await scene.colleague(ada);
    const names = ['one', 'two', 'three'];
    for (const name of names) await make(grace, { name });
    await make(ada, { name: "Ada's" });
    const namesOf = (answer: { apiKeys: { nodes: { name: string }[] } }) =>
      answer.apiKeys.nodes.map(({ name }) => name);
    const first = await scene.user.ask(grace.viewer, LIST, { first: 2 });
    expect([namesOf(first), first.apiKeys.totalCount]).toEqual([['three', 'two'], 3]);
    const after = first.apiKeys.pageInfo.endCursor;
    expect(namesOf(await scene.user.ask(grace.viewer, LIST, { first: 2, after }))).toEqual(['one']);
    expect(namesOf(await scene.user.ask(ada.viewer, LIST))).toEqual(["Ada's", 'three', 'two', 'one']);
    expect((await scene.user.send(ada.viewer, LIST, { after })).errors[0]?.extensions?.code).toBe(
      'BAD_USER_INPUT',
    );
  });
});

describe('revoking a key', () => {
  it('ends it for ever, is told to the routers, and may be repeated', async () => {
    const ada = await scene.founder();
    const { apiKey, secret } = await make(ada);
    const { apiKeyRevoke } = await scene.user.ask(ada.viewer, REVOKE, { input: { id: apiKey.id } });
    expect(apiKeyRevoke).toMatchObject({ success: true, secret: null, apiKey: { id: apiKey.id } });
    expect(await identify(secret)).toBeNull();
    const again = (await scene.user.ask(ada.viewer, REVOKE, { input: { id: apiKey.id } })).apiKeyRevoke;
    expect(again.apiKey).toEqual(apiKeyRevoke.apiKey);
    const lines = await scene.sql(
      'select action, target_id from audit_entries where target_id = $1 order by id',
      [apiKey.id],
    );
    expect(lines).toMatchObject([{ action: 'api-key.created' }, { action: 'api-key.revoked' }]);
  });

  it("is not there for a colleague's key, another organisation's and one that nobody has: the same bytes", async () => {
    const [ada, mallory] = [await scene.founder(), await scene.founder('Mallory')];
    const grace = await scene.colleague(ada);
    const [hers, foreign] = [await make(ada), await make(mallory)];
    const ids = [hers.apiKey.id, foreign.apiKey.id, ABSENT, 'garbage'];
    const answers = await Promise.all(
      ids.map((id) => scene.user.send(grace.viewer, REVOKE, { input: { id } })),
    );
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(answers[0]?.text).toContain('NOT_FOUND');
    expect(await identify(hers.secret)).not.toBeNull();
  });

  it("an ORG_ADMIN may a colleague's; and who is removed loses all of theirs, also when they come back", async () => {
    const ada = await scene.founder();
    const grace = await scene.colleague(ada);
    const [one, two] = [await make(grace), await make(grace)];
    expect(
      (await scene.user.ask(ada.viewer, REVOKE, { input: { id: one.apiKey.id } })).apiKeyRevoke.success,
    ).toBe(true);
    const remove = `mutation ($input: UserRemoveInput!) { userRemove(input: $input) { success } }`;
    await scene.user.ask(ada.viewer, remove, { input: { id: grace.viewer.userId } });
    await scene.sql(`update members set status = 'ACTIVE', archived_at = null where id = $1`, [
      grace.viewer.userId,
    ]);
    expect([await identify(one.secret), await identify(two.secret)]).toEqual([null, null]);
  });
});
