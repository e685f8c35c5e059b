import { randomBytes, randomUUID } from 'node:crypto';
import type { PlanClaim } from '@taskflow/kit/identity';
import { aRedis, startOwnRedis } from '@taskflow/tests/kit/redis';
import { openSocket } from '@taskflow/tests/kit/socket';
import { until } from '@taskflow/tests/kit/until';
import { beforeEach, describe, expect, it } from 'vitest';
import { monthOf } from '../src/plans.ts';
import type { Router } from '../src/server.ts';
import { aRouter, aSupergraph, ask, aViewer, codesOf, log, type TestSupergraph } from './fixture.ts';

const server = await aRedis();
const redis = await server.connect();
const DAY_MS = 86_400_000;

let supergraph: TestSupergraph;
let router: Router;

const startRouter = (url = server.url) =>
  aRouter(supergraph, (config) => ({ ...config, redisUrl: url }), { redisPrefix: server.prefix, log });

beforeEach(async () => {
  supergraph = await aSupergraph();
  router = await startRouter();
});

const aPlan = (calls: number | null, more: Partial<PlanClaim> = {}): PlanClaim => ({
  ...{ name: 'TEAM', from: Date.now() - DAY_MS, until: null, calls, otherwise: calls, version: 1, ...more },
});

/** A token of an organisation of its own. */
function aToken(plan: PlanClaim | null, orgId: string = randomUUID()): string {
  const viewer = aViewer({ orgId });
  return supergraph.tokenFor(viewer, { claims: plan ? { plan } : {} });
}

const ME = '{ me { id } }';
const codes = (token: string, of = router) => ask(of, ME, { token }).then(codesOf);
const passed = (answers: string[][]) => answers.filter((found) => found.length === 0).length;
const keyOf = (orgId: string) => redis.keys.apiCalls(orgId, monthOf(Date.now()).name);
const sumOf = async (orgId: string) => Number((await redis.commands.hget(keyOf(orgId), '=')) ?? 0);

describe('the calls of a month', () => {
  it('are exactly as many as the plan allows, of two hundred at once at two replicas', async () => {
    const other = await startRouter();
    const orgId = randomUUID();
    const token = aToken(aPlan(100), orgId);
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, n) => codes(token, n % 2 === 0 ? router : other)),
    );
    expect(passed(answers)).toBe(100);
    expect(new Set(answers.flat())).toEqual(new Set(['RATE_LIMITED']));
    await until('all to be told', async () => (await sumOf(orgId)) === 100);
    expect(await codes(token)).toEqual(['RATE_LIMITED']);
    expect(await sumOf(orgId)).toBe(100);
  });

  it('are refused with a sentence that names the quota, and with the time until the next month', async () => {
    const token = aToken(aPlan(0));
    const { status, headers, body } = await ask(router, ME, { token });
    const leftMs = monthOf(Date.now()).endsAt - Date.now();
    expect(status).toBe(429);
    expect(body.errors[0].message).toMatch(/API calls of this calendar month .* allows 0 \(QUOTA_EXCEEDED\)/);
    expect(Math.abs(body.errors[0].extensions.retryAfterMs - leftMs)).toBeLessThan(60_000);
    expect(Math.abs(Number(headers.get('retry-after')) * 1000 - leftMs)).toBeLessThan(60_000);
    expect(supergraph.calls).toEqual([]);
  });

  it('are those of one organisation: another goes on', async () => {
    const [spent, fresh] = [aToken(aPlan(1)), aToken(aPlan(1))];
    expect([await codes(spent), await codes(spent)]).toEqual([[], ['RATE_LIMITED']]);
    expect(await codes(fresh)).toEqual([]);
  });

  it('do not count what is malformed, nobody’s, or a credential mutation', async () => {
    const token = aToken(aPlan(1));
    await ask(router, '{ nonsense }', { token });
    await ask(router, '{ health }');
    const login = await ask(router, 'mutation { login(name: "grace") { success } }', { token });
    expect(codesOf(login)).toEqual([]);
    expect([await codes(token), await codes(token)]).toEqual([[], ['RATE_LIMITED']]);
    expect(codesOf(await ask(router, 'mutation { login(name: "grace") { success } }', { token }))).toEqual(
      [],
    );
  });

  it('of an API key are counted with those of people, on the plan that stands behind the key', async () => {
    const orgId = randomUUID();
    const secret = `key_${orgId}_${randomBytes(32).toString('base64url')}`;
    supergraph.apiKeys.set(secret, {
      ...{ id: randomUUID(), userId: randomUUID(), role: 'MEMBER', epoch: 1, scopes: ['READ'] },
      ...{ requestsPerMinute: 100, expiresAt: null, plan: JSON.stringify(aPlan(2)) },
    });
    expect([await codes(secret), await codes(aToken(aPlan(2), orgId))]).toEqual([[], []]);
    expect(supergraph.calls.at(-1)?.claims.plan).toBe('TEAM');
    expect([await codes(secret), await codes(aToken(aPlan(2), orgId))]).toEqual([
      ['RATE_LIMITED'],
      ['RATE_LIMITED'],
    ]);
    expect(await sumOf(orgId)).toBe(2);
  });

  it('are told to Redis without a loss, also where no call waits for it', async () => {
    const orgId = randomUUID();
    const token = aToken(aPlan(null), orgId);
    const answers = await Promise.all(Array.from({ length: 150 }, () => codes(token)));
    expect(passed(answers)).toBe(150);
    await until('all to be told', async () => (await sumOf(orgId)) === 150);
    expect(
      await redis.commands.zscore(redis.keys.apiCallers(monthOf(Date.now()).name), orgId),
    ).not.toBeNull();
    expect(await redis.commands.pttl(keyOf(orgId))).toBeGreaterThan(40 * DAY_MS);
  });

  it('are told by a replica that stops', async () => {
    const orgId = randomUUID();
    const stopping = await startRouter();
    await codes(aToken(aPlan(null), orgId), stopping);
    await stopping.stop();
    expect(await sumOf(orgId)).toBe(1);
  });
});

describe('while Redis is away', () => {
  it('calls pass and are told afterwards, once, even when it has lost everything', async () => {
    const own = await startOwnRedis();
    const behind = await startRouter(own.url);
    const { commands, keys } = await own.connect();
    const orgId = randomUUID();
    const token = aToken(aPlan(1_000), orgId);
    const key = `${server.prefix}${keys.apiCalls(orgId, monthOf(Date.now()).name)}`;
    for (let n = 0; n < 3; n++) expect(await codes(token, behind)).toEqual([]);
    await until('three to be told', async () => (await commands.hget(key, '=')) === '3');
    await own.kill();
    for (let n = 0; n < 4; n++) expect(await codes(token, behind)).toEqual([]);
    await own.restart({ empty: true });
    await until('seven to be told', async () => (await commands.hget(key, '=')) === '7');
  });

  it('a Redis that hangs holds up a call for a moment only', async () => {
    const own = await startOwnRedis();
    const behind = await startRouter(own.url);
    const token = aToken(aPlan(1_000));
    expect(await codes(token, behind)).toEqual([]);
    own.freeze();
    const startedAt = performance.now();
    expect(await codes(token, behind)).toEqual([]);
    expect(performance.now() - startedAt).toBeLessThan(2_000);
    own.resume();
  });
});

describe('a plan', () => {
  it('travels to the subgraphs in the signed context, whatever a client says of it', async () => {
    const token = aToken(aPlan(null, { name: 'TEAM' }));
    const spellings = [
      'plan',
      'Plan',
      'x-plan',
      'X-TaskFlow-Plan',
      'taskflow-plan',
      'taskflow_plan',
      'org-plan',
    ];
    const headers = Object.fromEntries(spellings.map((name) => [name, 'BUSINESS']));
    await ask(router, ME, { token, headers: { ...headers, 'taskflow-context': 'v1.dev.e30.x' } });
    await ask(router, `query ($plan: String) { me { id } health @include(if: true) }`, {
      token,
      variables: { plan: 'BUSINESS' },
    });
    expect(supergraph.calls.length).toBeGreaterThan(0);
    for (const { claims } of supergraph.calls) expect(claims.plan).toBe('TEAM');
  });

  it('is what the token says on a socket too, whatever connection_init says', async () => {
    const token = aToken(aPlan(null, { name: 'TEAM' }));
    const socket = await openSocket(`${router.url}/graphql`, undefined, {
      headers: { 'x-plan': 'BUSINESS' },
    });
    socket.send({
      type: 'connection_init',
      payload: {
        ...{ authorization: `Bearer ${token}`, plan: 'BUSINESS', claims: { plan: 'BUSINESS' } },
        ...{ headers: { 'x-plan': 'BUSINESS' }, taskflowPlan: 'BUSINESS' },
      },
    });
    await socket.next((frame) => frame.type === 'connection_ack');
    const answering = socket.subscribe(ME, {}, { plan: 'BUSINESS' });
    await answering.next();
    expect(supergraph.calls.map(({ claims }) => claims.plan)).toEqual(['TEAM']);
  });

  it('is FREE before and after its window, and its limit that of FREE; the month of its end keeps its calls', async () => {
    const contract = { name: 'TEAM', calls: null, otherwise: 0 };
    const ended = aPlan(null, { ...contract, until: Date.now() - 1_000 });
    await ask(router, ME, { token: aToken(ended) });
    expect(supergraph.calls.map(({ claims }) => claims.plan)).toEqual(['FREE']);
    const longAgo = { from: 0, until: monthOf(Date.now()).startsAt - 1 };
    expect(await codes(aToken(aPlan(null, { ...contract, ...longAgo })))).toEqual(['RATE_LIMITED']);
    expect(await codes(aToken(aPlan(null, { ...contract, from: Date.now() + DAY_MS })))).toEqual([
      'RATE_LIMITED',
    ]);
  });

  it('that has grown helps within seconds, without a new token; an older one changes nothing', async () => {
    const orgId = randomUUID();
    const token = aToken(aPlan(1, { version: 3 }), orgId);
    expect([await codes(token), await codes(token)]).toEqual([[], ['RATE_LIMITED']]);
    const tell = (plan: PlanClaim) =>
      redis.commands.set(redis.keys.planNews(orgId), JSON.stringify(plan), 'PX', 60_000);
    await tell(aPlan(1_000, { version: 4 }));
    await until('the news to be heard', async () => (await codes(token)).length === 0);
    await tell(aPlan(0, { version: 2 }));
    expect(await codes(token)).toEqual([]);
  });

  it.each([
    ['garbage', { plan: 'BUSINESS' }],
    ['a number of calls that is text', { plan: { ...aPlan(5), calls: '5' } }],
    ['a name that is none', { plan: { ...aPlan(5), name: 'x\r\ny' } }],
  ])('that is %s counts as none', async (_, claims) => {
    const viewer = aViewer();
    await ask(router, ME, { token: supergraph.tokenFor(viewer, { claims }) });
    expect(supergraph.calls.map((call) => call.claims.plan)).toEqual([undefined]);
  });
});
