import { randomUUID } from 'node:crypto';
import type { PlanClaim } from '@taskflow/kit/identity';
import { createLog } from '@taskflow/kit/log';
import { createRedis } from '@taskflow/kit/redis';
import { makeFact } from '@taskflow/schema/events';
import { until } from '@taskflow/tests/kit/until';
import jsonwebtoken from 'jsonwebtoken';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { command as quotaCheck } from '../src/commands/quota-check.ts';
import { ACCEPT, anEmail, aScene, INVITE, PASSWORD, type Person, REFRESH, type Scene } from './scene.ts';

let scene: Scene;
beforeAll(async () => {
  scene = await aScene();
});

interface Told {
  version?: number;
  members?: number | null;
  calls?: number | null;
  endsAt?: string | null;
}
const STARTS_AT = '2026-01-01T00:00:00.000Z';

/** As org tells it. */
function planChanged(orgId: string, { version = 1, members = null, calls = null, endsAt = null }: Told) {
  const limits = { projects: null, tasks: null };
  return makeFact({
    ...{ type: 'plan.changed', orgId, aggregate: { id: orgId, version }, actor: { userId: null } },
    ...{ requestId: 'test', before: null },
    after: {
      ...{ name: 'TEAM', startsAt: STARTS_AT, endsAt },
      limits: { ...limits, members, apiCalls: calls },
      otherwise: { ...limits, members: 1, apiCalls: 10 },
    },
  });
}

async function tell(orgId: string, told: Told): Promise<void> {
  const fact = planChanged(orgId, told);
  await scene.user.deliver(fact);
  await scene.user.settled(fact);
}

async function anOrg(told: Told): Promise<Person> {
  const founder = await scene.founder();
  await tell(founder.viewer.orgId, told);
  return founder;
}

const accept = async (token: string) =>
  (await scene.send(ACCEPT, { token, name: 'Grace', password: PASSWORD })).auth;

const ENTITY = `query ($representations: [_Any!]!) { _entities(representations: $representations) {
  ... on OrganizationUsage { members { used limit } } } }`;
async function usageOf({ viewer }: Person, id = viewer.orgId) {
  const representations = [{ __typename: 'OrganizationUsage', id }];
  return (await scene.user.ask(viewer, ENTITY, { representations }))._entities[0];
}

async function checked(orgId: string): Promise<string> {
  const lines: string[] = [];
  const { appUrl, systemUrl } = scene.user.database;
  const env = { USER_DATABASE_URL: appUrl, USER_SYSTEM_DATABASE_URL: systemUrl };
  await quotaCheck.run([orgId], { env, out: (line) => void lines.push(line) });
  return lines.join('\n');
}

const claimOf = (accessToken: string) =>
  (jsonwebtoken.decode(accessToken) as { plan?: PlanClaim } | null)?.plan ?? null;

describe('members', () => {
  it('are exactly as many as the plan allows, of ten who accept at once; the others’ invites stay open', async () => {
    const ada = await anOrg({ members: 100 });
    const { orgId } = ada.viewer;
    const tokens = await Promise.all(Array.from({ length: 10 }, () => scene.invite(ada, anEmail())));
    await tell(orgId, { version: 2, members: 5 });
    const joined = await Promise.all(tokens.map(accept));
    expect(joined.filter(({ success }) => success)).toHaveLength(4);
    const refused = joined.filter(({ success }) => !success);
    for (const { userErrors } of refused)
      expect(userErrors).toMatchObject([{ code: 'QUOTA_EXCEEDED', field: null }]);
    expect(await usageOf(ada)).toEqual({ members: { used: 5, limit: 5 } });
    expect(await checked(orgId)).toBe('members: 5, as counted');
    await tell(orgId, { version: 3, members: 6 });
    const late = tokens.find((_, n) => joined[n]?.success === false) ?? '';
    expect((await accept(late)).success).toBe(true);
    // Nobody half made: no account of those who were refused.
    const [{ count } = { count: -1 }] = await scene.sql<{ count: number }>(
      `select count(*)::int as count from accounts a
         where a.last_org_id = $1 and not exists (select from members m where m.org_id = $1 and m.id = a.id)`,
      [orgId],
    );
    expect(count).toBe(0);
  }, 60_000);

  it('are not invited into an organisation that is full', async () => {
    const ada = await anOrg({ members: 1 });
    const { inviteCreate } = await scene.user.ask(ada.viewer, INVITE, {
      input: { email: anEmail(), role: 'MEMBER' },
    });
    expect(inviteCreate).toMatchObject({
      ...{ success: false, token: null },
      userErrors: [
        {
          ...{ code: 'QUOTA_EXCEEDED', field: null },
          message: expect.stringMatching(/^The plan TEAM allows 1 members, and the organisation has 1\. /),
        },
      ],
    });
  });

  it('keep their place while they are suspended, and give it back when they are removed', async () => {
    const ada = await anOrg({ members: 3 });
    const [grace, joan] = [await scene.colleague(ada), await scene.colleague(ada)];
    const change = (field: string, person: Person) =>
      scene.user.ask(
        ada.viewer,
        `mutation ($id: ID!) { ${field}(input: { id: $id }) { success userErrors { code } } }`,
        { id: person.user.id },
      );
    await change('userSuspend', grace);
    expect(await usageOf(ada)).toEqual({ members: { used: 3, limit: 3 } });
    await Promise.all([change('userRemove', grace), change('userRemove', grace)]);
    expect(await usageOf(ada)).toEqual({ members: { used: 2, limit: 3 } });
    const leave = 'mutation { organizationLeave(input: {}) { success } }';
    expect((await scene.user.ask(joan.viewer, leave)).organizationLeave.success).toBe(true);
    expect(await usageOf(ada)).toEqual({ members: { used: 1, limit: 3 } });
    // Who comes back takes a place again.
    expect((await accept(await scene.invite(ada, grace.email))).success).toBe(true);
    expect(await usageOf(ada)).toEqual({ members: { used: 2, limit: 3 } });
    expect(await checked(ada.viewer.orgId)).toBe('members: 2, as counted');
  });

  it('of an ended contract stay and sign in; only more of them are refused', async () => {
    const ada = await anOrg({ members: 10 });
    const token = await scene.invite(ada, anEmail());
    await scene.colleague(ada);
    await tell(ada.viewer.orgId, { version: 2, members: 10, endsAt: '2026-02-01T00:00:00.000Z' });
    expect(await usageOf(ada)).toEqual({ members: { used: 2, limit: 1 } });
    const people = await scene.user.ask(ada.viewer, '{ users { nodes { name } } }');
    expect(people.users.nodes).toHaveLength(2);
    expect((await accept(token)).userErrors).toMatchObject([{ code: 'QUOTA_EXCEEDED' }]);
  });

  it('are told to an ORG_ADMIN of the same organisation only', async () => {
    const ada = await anOrg({ members: 10 });
    const grace = await scene.colleague(ada, 'MANAGER');
    expect(await usageOf(grace)).toEqual({ members: null });
    for (const id of [randomUUID(), 'no-uuid']) expect(await usageOf(ada, id), id).toBeNull();
  });
});

describe('access tokens', () => {
  it('carry the plan as soon as it is known, and its newest version only', async () => {
    const ada = await scene.founder();
    expect(claimOf(ada.accessToken)).toBeNull();
    const { orgId } = ada.viewer;
    const newer = planChanged(orgId, { version: 4, calls: 500, endsAt: '2027-01-01T00:00:00.000Z' });
    const older = planChanged(orgId, { version: 3, calls: 1 });
    await scene.user.deliver(newer, newer, older);
    await scene.user.settled(newer, older);
    const { auth } = await scene.send(REFRESH, { refreshToken: ada.refreshToken });
    expect(claimOf(auth.accessToken)).toEqual({
      ...{ name: 'TEAM', from: Date.parse(STARTS_AT), until: Date.parse('2027-01-01T00:00:00.000Z') },
      ...{ calls: 500, otherwise: 10, version: 4 },
    });
  });

  it('that do not know it yet are made up for by news to the routers, for as long as they live', async () => {
    const { url, prefix } = scene.redis;
    const redis = createRedis({ url, prefix, log: createLog({ process: 'test', level: 'silent' }) });
    afterAll(() => redis.close());
    await redis.whenReady();
    const ada = await anOrg({ version: 2, calls: 77 });
    const key = redis.keys.planNews(ada.viewer.orgId);
    const news = await until('the news', () => redis.commands.get(key));
    expect(JSON.parse(news)).toMatchObject({ name: 'TEAM', calls: 77, version: 2 });
    const ttlMs = await redis.commands.pttl(key);
    expect(ttlMs).toBeGreaterThan(10 * 60_000);
    expect(ttlMs).toBeLessThanOrEqual(11 * 60_000);
  });
});
