import { randomBytes, randomUUID } from 'node:crypto';
import { textOfStanding } from '@taskflow/kit/control';
import { aRedis, startOwnRedis } from '@taskflow/tests/kit/redis';
import { GRAPHQL_TRANSPORT_WS_PROTOCOL } from 'graphql-ws';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { WebSocket } from 'ws';
import type { Router } from '../src/server.ts';
import { type AnsweredKey, aRouter, aSupergraph, ask, codesOf, log, type TestSupergraph } from './fixture.ts';

const server = await aRedis();
const redis = await server.connect();
const SECOND = { timeout: 5_000, interval: 20 };

let supergraph: TestSupergraph;
let router: Router;
beforeEach(async () => {
  supergraph = await aSupergraph();
  router = await aRouterOf(server.url);
});

const aRouterOf = (redisUrl: string | null, redisPrefix = server.prefix) =>
  aRouter(supergraph, (config) => ({ ...config, redisUrl }), { redisPrefix, log });

/** A key that the user service knows. */
function aKey(parts: Partial<AnsweredKey> = {}) {
  const orgId = randomUUID();
  const secret = `key_${orgId}_${randomBytes(32).toString('base64url')}`;
  const identity: AnsweredKey = {
    ...{ id: randomUUID(), userId: randomUUID(), role: 'MEMBER', epoch: 1, scopes: ['READ', 'WRITE'] },
    ...{ requestsPerMinute: 100, expiresAt: null, ...parts },
  };
  supergraph.apiKeys.set(secret, identity);
  return { orgId, secret, identity };
}

const lookups = () => supergraph.calls.filter(({ query }) => query.includes('apiKeyIdentify'));
const me = async (secret: string, of = router) => codesOf(await ask(of, '{ me { id } }', { token: secret }));

describe('an API key', () => {
  it('makes its maker the viewer, with the id of the key as session and its scopes', async () => {
    const { orgId, secret, identity } = aKey();
    expect(await me(secret)).toEqual([]);
    const [lookup, call] = supergraph.calls;
    expect(lookup).toMatchObject({ subgraph: 'user', claims: { viewer: null } });
    expect(lookup?.query).not.toContain(secret);
    expect(call?.claims.viewer).toEqual({
      ...{
        orgId,
        userId: identity.userId,
        role: 'MEMBER',
        sessionId: identity.id,
        scopes: ['READ', 'WRITE'],
      },
    });
  });

  it('is asked for once, however many requests come at once and afterwards', async () => {
    const { secret } = aKey();
    await Promise.all(Array.from({ length: 20 }, () => me(secret)));
    await me(secret);
    expect(lookups()).toHaveLength(1);
  });

  it('that nobody has is refused, and its next requests ask nobody', async () => {
    const { orgId } = aKey();
    const invented = `key_${orgId}_${randomBytes(32).toString('base64url')}`;
    for (let n = 0; n < 3; n++) {
      const answer = await ask(router, '{ me { id } }', { token: invented });
      expect([answer.status, codesOf(answer)]).toEqual([401, ['UNAUTHENTICATED']]);
      expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    }
    expect(lookups()).toHaveLength(1);
  });

  it.each([
    'key_',
    'key_x_y',
    `key_${randomUUID()}_short`,
    `key_${randomUUID()}_${'a'.repeat(44)}`,
    'key_../../etc',
  ])('that is garbage is refused without asking anybody: %s', async (garbage) => {
    expect([await me(garbage), lookups()]).toEqual([['UNAUTHENTICATED'], []]);
  });

  it('whose time is over is refused while it is remembered', async () => {
    const { secret } = aKey({ expiresAt: new Date(Date.now() + 700).toISOString() });
    expect(await me(secret)).toEqual([]);
    supergraph.apiKeys.clear();
    await expect.poll(() => me(secret), SECOND).toEqual(['UNAUTHENTICATED']);
  });

  it('goes on while the user service is away when it was seen a moment before; others are told to come again', async () => {
    const [known, unknown] = [aKey(), aKey()];
    const tasks = (secret: string) => ask(router, '{ tasks(count: 1) { id } }', { token: secret });
    expect((await tasks(known.secret)).status).toBe(200);
    await supergraph.services.user.stop();
    expect((await tasks(known.secret)).status).toBe(200);
    const answer = await tasks(unknown.secret);
    expect([answer.status, codesOf(answer)]).toEqual([503, ['SUBGRAPH_UNAVAILABLE']]);
    expect(answer.body.errors[0].extensions).toMatchObject({ retryable: true, retryAfterMs: 1_000 });
  });
});

describe('whoever guesses keys', () => {
  it('is stopped after thirty in a minute, and known keys of the same address go on', async () => {
    const { orgId, secret, identity } = aKey();
    expect(await me(secret)).toEqual([]);
    const guess = () => me(`key_${orgId}_${randomBytes(32).toString('base64url')}`);
    const codes = [];
    for (let n = 0; n < 40; n++) codes.push((await guess())[0]);
    expect(codes).toEqual([...Array(30).fill('UNAUTHENTICATED'), ...Array(10).fill('RATE_LIMITED')]);
    expect(lookups()).toHaveLength(31);
    expect(await me(secret)).toEqual([]);
    // Also when the known one has to be asked for again.
    supergraph.apiKeys.set(secret, { ...identity, epoch: 2 });
    const standing = textOfStanding({ number: 2, isSuspended: false });
    await redis.commands.set(redis.keys.memberStanding(orgId, identity.userId), standing, 'EX', 60);
    await expect.poll(async () => [await me(secret), lookups().length], SECOND).toEqual([[], 32]);
  });

  it('a thousand guesses at once cost the user service thirty calls, and those that were in flight', async () => {
    const orgId = randomUUID();
    const guesses = await Promise.all(
      Array.from({ length: 1_000 }, () => me(`key_${orgId}_${randomBytes(32).toString('base64url')}`)),
    );
    expect(lookups().length).toBeLessThanOrEqual(30 + 16);
    expect(guesses.every(([code]) => code !== undefined)).toBe(true);
  });
});

describe('a farm of machines', () => {
  it('behind one address, each with a key of its own, is let in together after a restart of the router', async () => {
    const keys = Array.from({ length: 100 }, () => aKey());
    const codes = await Promise.all(keys.map(({ secret }) => me(secret)));
    expect(codes.flat()).toEqual([]);
  });
});

describe('what was revoked', () => {
  it('a revoked key is refused at once, at every replica', async () => {
    const other = await aRouterOf(server.url);
    const { orgId, secret, identity } = aKey();
    expect([await me(secret), await me(secret, other)]).toEqual([[], []]);
    const channel = redis.keys.controlChannel(orgId);
    await vi.waitUntil(async () => (await redis.commands.pubsub('NUMSUB', channel))[1] === 2, SECOND);
    await redis.commands.set(redis.keys.revokedKey(orgId, identity.id), '1', 'EX', 60);
    await expect.poll(() => me(secret), SECOND).toEqual(['SESSION_REVOKED']);
    await expect.poll(() => me(secret, other), SECOND).toEqual(['SESSION_REVOKED']);
  });

  it('a raised epoch makes the key be asked for again: the new role is there, and nothing has expired', async () => {
    const { orgId, secret, identity } = aKey();
    expect(await me(secret)).toEqual([]);
    supergraph.apiKeys.set(secret, { ...identity, role: 'MANAGER', epoch: 2 });
    await redis.commands.set(
      redis.keys.memberStanding(orgId, identity.userId),
      textOfStanding({ number: 2, isSuspended: false }),
      'EX',
      60,
    );
    await expect
      .poll(async () => [await me(secret), supergraph.calls.at(-1)?.claims.viewer?.role], SECOND)
      .toEqual([[], 'MANAGER']);
    expect(lookups()).toHaveLength(2);
  });
});

describe('the rate limit of a key', () => {
  it('is its own, over all replicas, and says when to come again', async () => {
    const other = await aRouterOf(server.url);
    const [slow, free] = [aKey({ requestsPerMinute: 4 }), aKey()];
    const codes = [];
    for (let n = 0; n < 6; n++) codes.push(await me(slow.secret, n % 2 ? other : router));
    expect(codes).toEqual([[], [], [], [], ['RATE_LIMITED'], ['RATE_LIMITED']]);
    const refused = await ask(router, '{ me { id } }', { token: slow.secret });
    expect(refused.status).toBe(429);
    expect(refused.body.errors[0].extensions.retryAfterMs).toBeGreaterThan(0);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await me(free.secret)).toEqual([]);
  });

  it('is counted here while Redis is away, or hangs', async () => {
    const own = await startOwnRedis();
    const behind = await aRouterOf(own.url, '');
    const { secret } = aKey({ requestsPerMinute: 2 });
    expect(await me(secret, behind)).toEqual([]);
    own.freeze();
    const startedAt = performance.now();
    expect(await me(aKey({ requestsPerMinute: 1 }).secret, behind)).toEqual([]);
    expect(performance.now() - startedAt).toBeLessThan(1_500);
    own.resume();
    await own.kill();
    const codes = [await me(secret, behind), await me(secret, behind), await me(secret, behind)];
    expect(codes.at(-1)).toEqual(['RATE_LIMITED']);
  });
});

describe('over WebSocket', () => {
  it('a key connects, and its socket is closed with 4403 when it is revoked', async () => {
    const { orgId, secret, identity } = aKey();
    const socket = await connect(secret);
    expect(await socket.acknowledged).toBe(true);
    await redis.commands.set(redis.keys.revokedKey(orgId, identity.id), '1', 'EX', 60);
    expect(await socket.closed).toBe(4403);
  });

  it('its socket is closed with 1001, to connect again, when its rights have changed', async () => {
    const { orgId, secret, identity } = aKey();
    const socket = await connect(secret);
    expect(await socket.acknowledged).toBe(true);
    supergraph.apiKeys.set(secret, { ...identity, role: 'GUEST', epoch: 2 });
    await redis.commands.set(
      redis.keys.memberStanding(orgId, identity.userId),
      textOfStanding({ number: 2, isSuspended: false }),
      'EX',
      60,
    );
    expect(await socket.closed).toBe(1001);
  });

  it('an unknown key is closed with 4401', async () => {
    const { orgId } = aKey();
    const socket = await connect(`key_${orgId}_${randomBytes(32).toString('base64url')}`);
    expect(await socket.closed).toBe(4401);
  });
});

async function connect(secret: string) {
  const socket = new WebSocket(`${router.url.replace('http', 'ws')}/graphql`, GRAPHQL_TRANSPORT_WS_PROTOCOL);
  onTestFinished(() => socket.terminate());
  const acknowledged = new Promise<boolean>((resolve) => {
    socket.on('message', (bytes) => resolve(JSON.parse(String(bytes)).type === 'connection_ack'));
  });
  const closed = new Promise<number>((resolve) => socket.once('close', resolve));
  await new Promise((resolve) => socket.once('open', resolve));
  socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${secret}` } }));
  return { acknowledged, closed };
}
