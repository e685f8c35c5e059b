import { randomUUID } from 'node:crypto';
import type { OperatorCommand } from '@taskflow/kit/command';
import type { Role, Viewer } from '@taskflow/kit/identity';
import { createLog } from '@taskflow/kit/log';
import { createRedis, type RedisConnections } from '@taskflow/kit/redis';
import { tell } from '@taskflow/kit/tally';
import { makeFact } from '@taskflow/schema/events';
import { aSubgraph, aViewer, type TestSubgraph } from '@taskflow/tests/kit/subgraph';
import { until } from '@taskflow/tests/kit/until';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { command as planSet } from '../src/commands/plan-set.ts';
import { command as planShow } from '../src/commands/plan-show.ts';
import { command as quotaCheck } from '../src/commands/quota-check.ts';
import { readOrgConfig } from '../src/config.ts';
import { createService } from '../src/service.ts';

const FREE = { members: 7, projects: 10, tasks: 8, apiCalls: 1_000 };
const TEAM = { members: 70, projects: 40, tasks: null, apiCalls: 5_000 };
const limits = {
  ...{ ORG_PLAN_FREE_MEMBERS_MAX: '7', ORG_PLAN_FREE_PROJECTS_MAX: '10' },
  ...{ ORG_PLAN_FREE_TASKS_MAX: '8', ORG_PLAN_FREE_API_CALLS_MAX: '1000' },
  ...{ ORG_PLAN_TEAM_MEMBERS_MAX: '70', ORG_PLAN_TEAM_PROJECTS_MAX: '40' },
  ...{ ORG_PLAN_TEAM_TASKS_MAX: '0', ORG_PLAN_TEAM_API_CALLS_MAX: '5000' },
  ...{ ORG_PLAN_CHECK_MS: '50', ORG_USAGE_FLUSH_MS: '50' },
};
const log = createLog({ process: 'test', level: 'silent' });

let org: TestSubgraph;
let env: NodeJS.ProcessEnv;
let deps: { redisPrefix: string };
let redis: RedisConnections;
let behind: pg.Client;

beforeAll(async () => {
  org = await aSubgraph('org', (given, observed) => {
    env = { ...given, ...limits };
    deps = { redisPrefix: observed.redisPrefix };
    return createService(readOrgConfig(env), observed);
  });
  redis = createRedis({ url: env.REDIS_URL ?? '', prefix: deps.redisPrefix, log });
  behind = new pg.Client({ connectionString: org.database.adminUrl });
  behind.on('error', () => {}); // the database is dropped beneath it when the file is done
  await Promise.all([behind.connect(), redis.whenReady()]);
});
afterAll(() => Promise.all([behind.end(), redis.close()]));

const founded = (orgId: string) =>
  makeFact({
    ...{ type: 'organization.founded', orgId, aggregate: { id: orgId, version: 1 }, actor: { userId: null } },
    ...{ requestId: 'test', before: null, after: { name: 'Acme', founderId: randomUUID() } },
  });

async function anOrg(): Promise<Viewer> {
  const viewer = aViewer('ORG_ADMIN');
  const fact = founded(viewer.orgId);
  await org.deliver(fact);
  await org.settled(fact);
  return viewer;
}

async function operator(command: OperatorCommand, ...args: string[]): Promise<string> {
  const lines: string[] = [];
  await command.run(args, { env, out: (line) => void lines.push(line) });
  return lines.join('\n');
}

const rows = async (text: string, ...values: unknown[]) => (await behind.query(text, values)).rows;
const toldOf = async (orgId: string) =>
  (
    await rows(`select envelope from outbox where org_id = $1 and type = 'plan.changed' order by id`, orgId)
  ).map(({ envelope }) => envelope);
const auditOf = async (orgId: string) =>
  (
    await rows(
      `select action from audit_entries where org_id = $1 and action like 'organization.plan%' order by id`,
      orgId,
    )
  ).map(({ action }) => action);

let keys = 0;
const CREATE = `mutation ($key: String!) { projectCreate(input: { name: "P", key: $key }) {
  success userErrors { code message field } } }`;
const create = async (viewer: Viewer) => (await org.ask(viewer, CREATE, { key: `K${++keys}` })).projectCreate;
const createMany = (viewer: Viewer, count: number) =>
  Promise.all(Array.from({ length: count }, () => create(viewer)));
const made = (payloads: { success: boolean }[]) => payloads.filter(({ success }) => success).length;

const PLAN = '{ organization { plan { name contractedName startsAt endsAt isDowngraded } } }';
const USAGE = '{ organization { usage { projects { used limit } apiCalls { used limit } } } }';
const usageOf = async (viewer: Viewer) => (await org.ask(viewer, USAGE)).organization.usage;
const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();
const isOver = (orgId: string) =>
  until('the contract to be over', async () => {
    const [row] = await rows('select ends_at <= now() as "isOver" from quotas where org_id = $1', orgId);
    return row?.isOver === true;
  });

describe('a plan', () => {
  it('is FREE from the founding on, and told once however often that is delivered', async () => {
    const viewer = aViewer();
    const fact = founded(viewer.orgId);
    await org.deliver(fact, fact, founded(viewer.orgId));
    await org.settled(fact);
    const { plan } = (await org.ask(viewer, PLAN)).organization;
    expect(plan).toMatchObject({ name: 'FREE', contractedName: 'FREE', endsAt: null, isDowngraded: false });
    const told = await toldOf(viewer.orgId);
    expect(told).toMatchObject([{ aggregate: { type: 'plan', id: viewer.orgId, version: 1 }, before: null }]);
    expect(told[0].after).toEqual({
      ...{ name: 'FREE', startsAt: expect.any(String), endsAt: null },
      ...{ limits: FREE, otherwise: FREE },
    });
  });

  it('is seen by everybody but a guest, and what is used by an ORG_ADMIN only', async () => {
    const { orgId } = await anOrg();
    for (const role of ['MANAGER', 'MEMBER', 'GUEST'] satisfies Role[]) {
      const viewer = aViewer(role, orgId);
      const { plan } = (await org.ask(viewer, PLAN)).organization;
      expect(plan?.name ?? null, role).toBe(role === 'GUEST' ? null : 'FREE');
      expect(await usageOf(viewer), role).toEqual({ projects: null, apiCalls: null });
    }
    expect(await usageOf(aViewer('ORG_ADMIN', orgId))).toEqual({
      ...{ projects: { used: 0, limit: 10 }, apiCalls: { used: 0, limit: 1_000 } },
    });
  });

  it('changed by the operator is told with its window, and written down', async () => {
    const { orgId } = await anOrg();
    const endsAt = inSeconds(86_400);
    expect(await operator(planSet, orgId, 'TEAM', '--until', endsAt)).toContain(`TEAM, in force`);
    const [first, second] = await toldOf(orgId);
    expect(second).toMatchObject({
      aggregate: { version: 2 },
      actor: { userId: null },
      before: first.after,
      after: { name: 'TEAM', endsAt, limits: TEAM, otherwise: FREE },
    });
    expect(await auditOf(orgId)).toEqual(['organization.plan-changed']);
    expect(await operator(planShow, orgId)).toMatch(
      /TEAM, in force.*\nprojects +0 of 40\nAPI calls +0 this month of 5000/,
    );
  });

  it.each([
    [['TEAM']],
    [['nobody', 'GOLD']],
    [['nobody', 'TEAM', '--until', 'tomorrow']],
    [['nobody', 'TEAM', '--until', '2026-02-30T10:00']],
    [['nobody', 'TEAM', '--for', 'ever']],
  ])('is not set by %j', async (args) => {
    await expect(operator(planSet, ...args)).rejects.toMatchObject({ name: 'UsageError' });
  });

  it('is not set for nobody, nor with an end before its start', async () => {
    await expect(operator(planSet, 'nobody', 'TEAM')).rejects.toThrow('there is no organisation "nobody"');
    const { orgId } = await anOrg();
    await expect(operator(planSet, orgId, 'TEAM', '--until', '2020-01-01')).rejects.toThrow('must end after');
  });

  it('whose contract ends is told of once, by whichever of two replicas sees it, and nothing else happens', async () => {
    const viewer = await anOrg();
    const second = createService(readOrgConfig({ ...env, ORG_PORT: '0' }), deps);
    await second.start();
    try {
      await operator(planSet, viewer.orgId, 'TEAM', '--until', inSeconds(1));
      await until('the end to be told', async () => (await toldOf(viewer.orgId)).length === 3);
      const { plan } = (await org.ask(viewer, PLAN)).organization;
      expect(plan).toMatchObject({ name: 'FREE', contractedName: 'TEAM', isDowngraded: true });
      // Both have looked again by now, more than once.
      await operator(planSet, viewer.orgId, 'BUSINESS');
      await until('the next to be told', async () => (await toldOf(viewer.orgId)).length >= 4);
      expect(await toldOf(viewer.orgId)).toHaveLength(4);
      expect(await auditOf(viewer.orgId)).toEqual([
        'organization.plan-changed',
        'organization.plan-ended',
        'organization.plan-changed',
      ]);
    } finally {
      await second.stop();
    }
  });

  it('is told again when the configuration allows something else', async () => {
    const { orgId } = await anOrg();
    await behind.query(
      `update organization_plans set limits = jsonb_set(limits, '{projects}', '3'), otherwise = limits where org_id = $1`,
      [orgId],
    );
    await until('it to be told again', async () => (await toldOf(orgId)).at(-1)?.aggregate.version === 2);
    expect((await toldOf(orgId)).at(-1)).toMatchObject({ after: { limits: FREE, otherwise: FREE } });
    expect(await auditOf(orgId)).toEqual([]);
  });
});

describe('projects', () => {
  it('are exactly as many as the plan allows, of thirty at once; then refused with what to do', async () => {
    const viewer = await anOrg();
    const payloads = await createMany(viewer, 30);
    expect(made(payloads)).toBe(10);
    for (const { success, userErrors } of payloads) {
      if (success) continue;
      expect(userErrors).toEqual([
        {
          code: 'QUOTA_EXCEEDED',
          field: null,
          message:
            'The plan FREE allows 10 projects, and the organisation has 10. A larger plan has room for more.',
        },
      ]);
    }
    expect((await usageOf(viewer)).projects).toEqual({ used: 10, limit: 10 });
    expect(await operator(quotaCheck, viewer.orgId)).toBe('projects: 10, as counted');
  });

  it('beyond a plan that has ended stay and are read; only more of them are refused, until there is a plan again', async () => {
    const viewer = await anOrg();
    await operator(planSet, viewer.orgId, 'TEAM', '--until', inSeconds(2));
    expect(made(await createMany(viewer, 12))).toBe(12);
    await isOver(viewer.orgId);
    const { projects, organization } = await org.ask(
      viewer,
      '{ projects(first: 50) { nodes { id name } } organization { name usage { projects { used limit } } } }',
    );
    expect(projects.nodes).toHaveLength(12);
    expect(organization.usage.projects).toEqual({ used: 12, limit: 10 });
    const renamed = await org.ask(
      viewer,
      'mutation ($id: ID!) { projectUpdate(input: { id: $id, name: "Still ours" }) { success } }',
      { id: projects.nodes[0].id },
    );
    expect(renamed.projectUpdate.success).toBe(true);
    expect((await create(viewer)).userErrors[0]).toMatchObject({
      code: 'QUOTA_EXCEEDED',
      message: expect.stringContaining(
        'Without a contract the plan allows 10 projects, and the organisation has 12.',
      ),
    });
    await operator(planSet, viewer.orgId, 'TEAM');
    expect((await create(viewer)).success).toBe(true);
  });

  it('that are refused leave nothing behind: no row, no fact, and the key may be used again', async () => {
    const viewer = await anOrg();
    await createMany(viewer, 10);
    const call = (id: string) => org.ask(viewer, CREATE, { key: 'AGAIN' }, { idempotencyKey: id });
    expect((await call('first')).projectCreate.success).toBe(false);
    const facts = `select from outbox where org_id = $1 and type = 'project.created'`;
    expect(await rows(facts, viewer.orgId)).toHaveLength(10);
    await operator(planSet, viewer.orgId, 'TEAM');
    expect((await call('first')).projectCreate.success).toBe(true);
    // Repeated, it answers the same project and counts nothing.
    expect((await call('first')).projectCreate.success).toBe(true);
    expect((await usageOf(viewer)).projects).toEqual({ used: 11, limit: 40 });
  });

  it('that were counted wrongly are found and set right by the operator', async () => {
    const viewer = await anOrg();
    await createMany(viewer, 3);
    await behind.query('update quotas set used = 9 where org_id = $1', [viewer.orgId]);
    expect(await operator(quotaCheck, viewer.orgId)).toBe('projects: 3, but counted as 9');
    expect(await operator(quotaCheck, viewer.orgId, '--repair')).toContain('set right');
    expect(await operator(quotaCheck, viewer.orgId)).toBe('projects: 3, as counted');
    await expect(operator(quotaCheck, 'acme')).rejects.toMatchObject({ name: 'UsageError' });
  });
});

describe('API calls', () => {
  const month = new Date().toISOString().slice(0, 7);
  /** As a router tells it. */
  async function count(orgId: string, counter: string, counted: number): Promise<void> {
    const told = { counted, wanted: 0, limit: null, ttlMs: 600_000 };
    await tell(redis.commands, redis.keys.apiCalls(orgId, month), counter, told);
    await redis.commands.zadd(redis.keys.apiCallers(month), Date.now(), orgId);
  }
  const reads = (viewer: Viewer, used: number) =>
    until(`${used} calls`, async () => (await usageOf(viewer)).apiCalls.used === used);

  it('that routers count come here, added up, however often they are told', async () => {
    const viewer = await anOrg();
    await count(viewer.orgId, 'one', 5);
    await count(viewer.orgId, 'two', 7);
    await reads(viewer, 12);
    await count(viewer.orgId, 'one', 5);
    await count(viewer.orgId, 'one', 8);
    await reads(viewer, 15);
  });

  it('are kept though something that is no organisation stands among the callers', async () => {
    const viewer = await anOrg();
    await redis.commands.zadd(redis.keys.apiCallers(month), Date.now(), 'no-uuid');
    await count(viewer.orgId, 'one', 3);
    await reads(viewer, 3);
  });

  it('outlast a Redis that loses everything, which learns of them again', async () => {
    const viewer = await anOrg();
    await count(viewer.orgId, 'gone', 40);
    await count(viewer.orgId, 'alive', 2);
    await reads(viewer, 42);
    await redis.commands.del(redis.keys.apiCalls(viewer.orgId, month));
    await count(viewer.orgId, 'alive', 3);
    await reads(viewer, 43);
    await until(
      'Redis to know all of it',
      async () => (await redis.commands.hget(redis.keys.apiCalls(viewer.orgId, month), '=')) === '43',
    );
  });

  it('keep the limit of a contract until the month is over in which it ends', async () => {
    const viewer = await anOrg();
    const limit = async () => (await usageOf(viewer)).apiCalls.limit;
    await operator(planSet, viewer.orgId, 'TEAM', '--until', inSeconds(1));
    expect(await limit()).toBe(5_000);
    await isOver(viewer.orgId);
    expect(await limit()).toBe(5_000);
    await behind.query(
      `update organization_plans set starts_at = now() - interval '90 days', ends_at = now() - interval '40 days'
         where org_id = $1`,
      [viewer.orgId],
    );
    expect(await limit()).toBe(1_000);
  });
});

describe('the entity OrganizationUsage', () => {
  const ENTITIES = `query ($representations: [_Any!]!) { _entities(representations: $representations) {
    ... on OrganizationUsage { id projects { used } } } }`;
  const ask = async (viewer: Viewer, id: string) =>
    (await org.ask(viewer, ENTITIES, { representations: [{ __typename: 'OrganizationUsage', id }] }))
      ._entities;

  it('is there for the viewer’s own organisation and for no other id', async () => {
    const [own, other] = [await anOrg(), await anOrg()];
    expect(await ask(own, own.orgId)).toEqual([{ id: own.orgId, projects: { used: 0 } }]);
    for (const id of [other.orgId, randomUUID(), 'no-uuid']) expect(await ask(own, id), id).toEqual([null]);
  });
});
