import { createLog } from '@taskflow/kit/log';
import { aRedis, startOwnRedis } from '@taskflow/tests/kit/redis';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { Router } from '../src/server.ts';
import { aRouter, aSupergraph, ask, aViewer, codesOf, type TestSupergraph } from './fixture.ts';

const server = await aRedis();
const redis = await server.connect();
const log = createLog({ process: 'test', level: 'silent' });

let supergraph: TestSupergraph;
let router: Router;

beforeEach(async () => {
  supergraph = await aSupergraph();
  router = await aRouter(supergraph, (config) => ({ ...config, redisUrl: server.url }), {
    redisPrefix: server.prefix,
    log,
  });
});

const me = (token: string, of = router) => ask(of, '{ me { id } }', { token }).then(codesOf);

/** The whole way from a revocation to its effect may take a second. */
const SECOND = { timeout: 5_000, interval: 20 };
/** A first look at Redis is given 250 ms, which a machine under the load of a whole test run may exceed; then the next look tells. */
const FIRST_LOOK = { retry: 3 };

describe('a revoked session', () => {
  it('is refused from the moment the user service says so, while the other sessions of the person go on', async () => {
    const viewer = aViewer();
    const [phone, laptop] = [
      supergraph.tokenFor(viewer),
      supergraph.tokenFor({ ...viewer, sessionId: 'laptop' }),
    ];
    expect([await me(phone), await me(laptop)]).toEqual([[], []]);
    const channel = redis.keys.controlChannel(viewer.orgId);
    // The first request has asked for the channel, which Redis confirms in its own time.
    await vi.waitUntil(async () => (await redis.commands.pubsub('NUMSUB', channel))[1] === 1, SECOND);
    await redis.commands.publish(channel, JSON.stringify({ user: viewer.userId, sid: viewer.sessionId }));
    await expect.poll(() => me(phone), SECOND).toEqual(['SESSION_REVOKED']);
    expect(await me(laptop)).toEqual([]);
  });

  it('is refused within a second when the message was missed, by its key', async () => {
    const viewer = aViewer();
    const token = supergraph.tokenFor(viewer);
    expect(await me(token)).toEqual([]);
    await redis.commands.set(redis.keys.revokedKey(viewer.orgId, viewer.sessionId), '1', 'EX', 60);
    await expect.poll(() => me(token), SECOND).toEqual(['SESSION_REVOKED']);
  });

  it('is refused at its first request to a replica that has never seen it', FIRST_LOOK, async () => {
    const viewer = aViewer();
    supergraph.calls.length = 0;
    await redis.commands.set(redis.keys.revokedKey(viewer.orgId, viewer.sessionId), '1', 'EX', 60);
    expect(await me(supergraph.tokenFor(viewer))).toEqual(['SESSION_REVOKED']);
    expect(supergraph.calls).toEqual([]);
  });

  it('reaches nobody of another organisation', FIRST_LOOK, async () => {
    const viewer = aViewer();
    const other = aViewer({ userId: viewer.userId, sessionId: viewer.sessionId });
    await redis.commands.set(redis.keys.revokedKey(viewer.orgId, viewer.sessionId), '1', 'EX', 60);
    expect(await me(supergraph.tokenFor(viewer))).toEqual(['SESSION_REVOKED']);
    expect(await me(supergraph.tokenFor(other))).toEqual([]);
  });
});

describe('a raised membership epoch', () => {
  it('makes older tokens expire, and a token of the new epoch good', FIRST_LOOK, async () => {
    const viewer = aViewer();
    await redis.commands.set(redis.keys.memberStanding(viewer.orgId, viewer.userId), '2 ACTIVE', 'EX', 60);
    expect(await me(supergraph.tokenFor(viewer))).toEqual(['TOKEN_EXPIRED']);
    expect(await me(supergraph.tokenFor(viewer, { claims: { ep: 2 } }))).toEqual([]);
  });
});

describe('a suspended member, and a suspended organisation', () => {
  const told = (orgId: string, message: object) =>
    redis.commands.publish(redis.keys.controlChannel(orgId), JSON.stringify(message));
  const listening = (orgId: string) =>
    vi.waitUntil(
      async () => (await redis.commands.pubsub('NUMSUB', redis.keys.controlChannel(orgId)))[1] === 1,
      SECOND,
    );

  it('are refused by message, and taken in again by a later one only', async () => {
    const viewer = aViewer();
    const colleague = aViewer({ orgId: viewer.orgId });
    const both = async () => [
      await me(supergraph.tokenFor(viewer)),
      await me(supergraph.tokenFor(colleague)),
    ];
    expect(await both()).toEqual([[], []]);
    await listening(viewer.orgId);
    await told(viewer.orgId, { user: viewer.userId, standing: '1 SUSPENDED' });
    await expect.poll(both, SECOND).toEqual([['SESSION_REVOKED'], []]);
    await told(viewer.orgId, { user: '*', standing: '2 SUSPENDED' });
    await expect.poll(both, SECOND).toEqual([['SESSION_REVOKED'], ['SESSION_REVOKED']]);
    await told(viewer.orgId, { user: '*', standing: '3 ACTIVE' });
    await told(viewer.orgId, { user: '*', standing: '2 SUSPENDED' });
    await told(viewer.orgId, { user: viewer.userId, standing: '2 ACTIVE' });
    await expect.poll(both, SECOND).toEqual([['TOKEN_EXPIRED'], []]);
    expect(await me(supergraph.tokenFor(viewer, { claims: { ep: 2 } }))).toEqual([]);
  });

  it('are refused by their keys, at first sight as well', FIRST_LOOK, async () => {
    const [viewer, other] = [aViewer(), aViewer()];
    const { keys, commands } = redis;
    expect(await me(supergraph.tokenFor(other))).toEqual([]);
    await commands.set(keys.memberStanding(viewer.orgId, viewer.userId), '1 SUSPENDED', 'EX', 60);
    await commands.set(keys.organizationStanding(other.orgId), '2 SUSPENDED', 'EX', 60);
    expect(await me(supergraph.tokenFor(viewer))).toEqual(['SESSION_REVOKED']);
    await expect.poll(() => me(supergraph.tokenFor(other)), SECOND).toEqual(['SESSION_REVOKED']);
  });

  it('stay refused when their keys are gone, but a token of a newer epoch proves that the member is back', async () => {
    const viewer = aViewer();
    const key = redis.keys.memberStanding(viewer.orgId, viewer.userId);
    await redis.commands.set(key, '1 SUSPENDED', 'EX', 60);
    const token = supergraph.tokenFor(viewer);
    await expect.poll(() => me(token), SECOND).toEqual(['SESSION_REVOKED']);
    await redis.commands.del(key);
    expect(await me(supergraph.tokenFor(viewer, { claims: { ep: 2 } }))).toEqual([]);
    expect(await me(token)).toEqual(['SESSION_REVOKED']);
  });
});

describe('while Redis is away', () => {
  it('tokens are verified alone, and what was revoked stays revoked', async () => {
    const own = await startOwnRedis();
    const behind = await aRouter(supergraph, (config) => ({ ...config, redisUrl: own.url }), { log });
    const [viewer, revoked] = [aViewer(), aViewer()];
    const keys = (await own.connect()).keys;
    await (await own.connect()).commands.set(
      keys.revokedKey(revoked.orgId, revoked.sessionId),
      '1',
      'EX',
      60,
    );
    await expect.poll(() => me(supergraph.tokenFor(revoked), behind), SECOND).toEqual(['SESSION_REVOKED']);
    await own.kill();
    expect(await me(supergraph.tokenFor(revoked), behind)).toEqual(['SESSION_REVOKED']);
    expect(await me(supergraph.tokenFor(viewer), behind)).toEqual([]);
  });

  it('a Redis that hangs holds up a request for a moment only, and is listened to once it is back', async () => {
    const own = await startOwnRedis();
    const behind = await aRouter(supergraph, (config) => ({ ...config, redisUrl: own.url }), { log });
    const revoked = aViewer();
    const { commands, keys } = await own.connect();
    await commands.set(keys.revokedKey(revoked.orgId, revoked.sessionId), '1', 'EX', 60);
    await expect.poll(() => me(supergraph.tokenFor(revoked), behind), SECOND).toEqual(['SESSION_REVOKED']);
    own.freeze();
    const viewer = aViewer();
    const startedAt = performance.now();
    expect(await me(supergraph.tokenFor(viewer), behind)).toEqual([]);
    expect(performance.now() - startedAt).toBeLessThan(1_500);
    own.resume();
    const channel = keys.controlChannel(viewer.orgId);
    await vi.waitUntil(async () => (await commands.pubsub('NUMSUB', channel))[1] === 1, SECOND);
  });
});
