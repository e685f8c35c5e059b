import { readFile, writeFile } from 'node:fs/promises';
import type { Viewer } from '@taskflow/kit/identity';
import { aRedis, startOwnRedis } from '@taskflow/tests/kit/redis';
import { until } from '@taskflow/tests/kit/until';
import { describe, expect, it } from 'vitest';
import type { Router } from '../src/server.ts';
import { aRouter, aSupergraph, ask, aViewer, type TestSupergraph } from './fixture.ts';

const server = await aRedis();
const redis = await server.connect();

/** The fixture's supergraph, with a hint where the user service says who asks: each asking answers something else. */
async function aHinted(scope: 'PUBLIC' | 'PRIVATE'): Promise<TestSupergraph> {
  const supergraph = await aSupergraph();
  const sdl = await readFile(supergraph.file, 'utf8');
  const hinted = sdl.replace(
    /seenBy: String @join__field\(graph: USER\)/,
    `$& @cacheControl(maxAge: 600, scope: ${scope})`,
  );
  if (hinted === sdl) throw new Error('there is no such field');
  const definition = `directive @cacheControl(maxAge: Int, scope: CacheScope) on FIELD_DEFINITION\nenum CacheScope @join__type(graph: USER) { PUBLIC @join__enumValue(graph: USER) PRIVATE @join__enumValue(graph: USER) }\n`;
  await writeFile(supergraph.file, definition + hinted);
  return supergraph;
}

const replica = (
  supergraph: TestSupergraph,
  url = server.url,
  redisPrefix = server.prefix,
): Promise<Router> => aRouter(supergraph, (config) => ({ ...config, redisUrl: url }), { redisPrefix });

const READ = '{ tasks(count: 1) { assignee { seenBy } } }';

/** What the user service told of the task's assignee, or what was kept of it. */
async function read(router: Router, token: string, headers: Record<string, string> = {}): Promise<string> {
  const { body } = await ask(router, READ, { token, headers });
  return body.data.tasks[0].assignee.seenBy;
}

/** Until the versions of the tenant are known, nothing is kept: two equal answers say that they are. */
async function readKept(router: Router, token: string): Promise<string> {
  return until('a kept answer', async () => {
    const first = await read(router, token);
    return first === (await read(router, token)) && first;
  });
}

/** As the relay tells a fact. */
const publishFact = (orgId: string, seq: number, source = 'user') =>
  redis.commands.publish(redis.keys.liveChannel(source, orgId), JSON.stringify({ seq, fact: {} }));

const statsOf = async (router: Router) => {
  // biome-ignore lint/suspicious/noExplicitAny: a test reads into a report that it knows
  return ((await (await fetch(`${router.url}/health`)).json()) as any).cache;
};

describe('what is kept of one tenant', () => {
  it('is found by everybody there when it is PUBLIC, at every replica, and by nobody elsewhere', async () => {
    const supergraph = await aHinted('PUBLIC');
    const [one, other] = await Promise.all([replica(supergraph), replica(supergraph)]);
    const [ada, grace, stranger] = [
      aViewer({ orgId: 'acme' }),
      aViewer({ orgId: 'acme', role: 'GUEST' }),
      aViewer(),
    ];
    const kept = await readKept(one, supergraph.tokenFor(ada));
    expect(kept).toMatch(`acme ${ada.userId}`);
    expect(await read(one, supergraph.tokenFor(grace))).toBe(kept);
    expect(await readKept(other, supergraph.tokenFor(grace))).toBe(kept);
    expect(await readKept(one, supergraph.tokenFor(stranger))).toMatch(
      `${stranger.orgId} ${stranger.userId}`,
    );
    expect((await statsOf(other)).redis.hits).toBeGreaterThan(0);
  });

  it('is found by its caller alone when it is PRIVATE: 40 viewers of 8 tenants, interleaved', async () => {
    const supergraph = await aHinted('PRIVATE');
    const routers = await Promise.all([replica(supergraph), replica(supergraph)]);
    const viewers: Viewer[] = Array.from({ length: 40 }, (_unused, n) =>
      aViewer({ orgId: `tenant-${n % 8}`, userId: `user-${n % 20}` }),
    );
    const tokens = viewers.map((viewer) => supergraph.tokenFor(viewer));
    for (let round = 0; round < 5; round++) {
      const seen = await Promise.all(
        viewers.map((_unused, n) => read(routers[(n + round) % 2] as Router, tokens[n] as string)),
      );
      for (const [n, { orgId, userId }] of viewers.entries()) expect(seen[n]).toMatch(`${orgId} ${userId} `);
    }
    expect((await statsOf(routers[0] as Router)).hits).toBeGreaterThan(20);
  });

  it('ends with a fact of its subgraph in its tenant, at every replica, and with no other fact', async () => {
    const supergraph = await aHinted('PUBLIC');
    const [one, other] = await Promise.all([replica(supergraph), replica(supergraph)]);
    const token = supergraph.tokenFor(aViewer({ orgId: 'facts' }));
    const before = await readKept(one, token);
    expect(await readKept(other, token)).toBe(before);
    await publishFact('another', 1);
    await publishFact('facts', 1, 'task');
    expect([await read(one, token), await read(other, token)]).toEqual([before, before]);
    await publishFact('facts', 7);
    const after = await until('the fact', async () => {
      const seen = await read(one, token);
      return seen !== before && seen;
    });
    await until('the fact at the other', async () => (await read(other, token)) !== before);
    // A replica that was not there when the fact was told finds nothing that is older either.
    const late = await replica(supergraph);
    expect([before]).not.toContain(await readKept(late, token));
    // What comes late or twice takes nothing back.
    await publishFact('facts', 7);
    await publishFact('facts', 6);
    expect(await read(one, token)).not.toBe(before);
    expect(after).not.toBe(before);
  });

  it('is never found by whoever has seen a mutation there, by a mutation, or with taskflow-min-sync-id', async () => {
    const supergraph = await aHinted('PRIVATE');
    const router = await replica(supergraph);
    const token = supergraph.tokenFor(aViewer());
    const kept = await readKept(router, token);
    expect(await read(router, token, { 'taskflow-min-sync-id': 'x' })).not.toBe(kept);
    expect(await read(router, token)).toBe(kept);
    const seen = [kept];
    for (let n = 0; n < 20; n++) {
      await ask(router, 'mutation { rename(name: "x") }', { token });
      const after = await read(router, token);
      expect(seen).not.toContain(after);
      seen.push(after);
    }
  });

  it('is not found under another language, nor kept for anonymous callers', async () => {
    const supergraph = await aHinted('PUBLIC');
    const router = await replica(supergraph);
    const token = supergraph.tokenFor(aViewer());
    const kept = await readKept(router, token);
    expect(await read(router, token, { 'accept-language': 'cy' })).not.toBe(kept);
    const calls = () => supergraph.calls.length;
    const before = calls();
    for (let n = 0; n < 2; n++) await ask(router, '{ health }');
    expect(calls() - before).toBe(2);
  });
});

describe('what is kept in Redis', () => {
  it('is a miss when it was changed there or put under another key', async () => {
    const supergraph = await aHinted('PUBLIC');
    const token = supergraph.tokenFor(aViewer({ orgId: 'changed' }));
    const [ours, theirs] = [await replica(supergraph), await replica(supergraph)];
    const kept = await readKept(ours, token);
    await readKept(ours, supergraph.tokenFor(aViewer({ orgId: 'victim' })));
    const keysOf = (orgId: string) => redis.commands.keys(`${redis.keys.cached(orgId, '')}*`);
    const [key] = await until('it to be kept', async () =>
      (await keysOf('changed')).length > 0 ? keysOf('changed') : null,
    );
    const [victim] = await until('it to be kept', async () =>
      (await keysOf('victim')).length > 0 ? keysOf('victim') : null,
    );
    const stored = (await redis.commands.get(key as string)) ?? '';
    expect(stored).toContain(kept);
    expect(await redis.commands.pttl(key as string)).toBeGreaterThan(500_000);
    for (const wrong of [
      stored.replace('"seenBy"', '"seenby"'),
      stored.slice(0, -3),
      '',
      'x',
      String(await redis.commands.get(victim as string)),
    ]) {
      await redis.commands.set(key as string, wrong);
      const fresh = await replica(supergraph);
      expect(await readKept(fresh, token)).toMatch(/^changed /);
      expect(await readKept(fresh, token)).not.toBe(kept);
    }
    expect(await read(theirs, token)).toMatch(/^changed /);
  });

  it('is a miss, and no error, while Redis hangs or is away; nothing old is found afterwards', async () => {
    const own = await startOwnRedis();
    const supergraph = await aHinted('PUBLIC');
    const token = supergraph.tokenFor(aViewer());
    const router = await replica(supergraph, own.url, '');
    const kept = await readKept(router, token);
    own.freeze();
    const hanging = await ask(router, '{ tasks(count: 3) { assignee { seenBy } } }', { token });
    expect(hanging.body.errors).toBeUndefined();
    own.resume();
    await own.kill();
    const away = await until('Redis to be missed', async () => {
      const seen = await read(router, token);
      return seen !== kept && seen;
    });
    expect(await read(router, token)).not.toBe(away);
    await own.restart();
    const again = await readKept(router, token);
    expect([kept, away]).not.toContain(again);
  });
});
