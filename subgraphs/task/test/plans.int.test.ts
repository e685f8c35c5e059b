import { randomUUID } from 'node:crypto';
import type { Role, Viewer } from '@taskflow/kit/identity';
import { makeFact } from '@taskflow/schema/events';
import { aSubgraph, aViewer, type TestSubgraph } from '@taskflow/tests/kit/subgraph';
import { until } from '@taskflow/tests/kit/until';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { command as quotaCheck } from '../src/commands/quota-check.ts';
import { readTaskConfig } from '../src/config.ts';
import { createService } from '../src/service.ts';

let task: TestSubgraph;
let behind: pg.Client;

beforeAll(async () => {
  task = await aSubgraph('task', (env, deps) => createService(readTaskConfig(env), deps));
  behind = new pg.Client({ connectionString: task.database.adminUrl });
  behind.on('error', () => {}); // the database is dropped beneath it when the file is done
  await behind.connect();
});
afterAll(() => behind.end());

interface Window {
  startsAt?: string;
  endsAt?: string | null;
}

/** As org tells it. */
function planChanged(orgId: string, version: number, tasks: number | null, window: Window = {}) {
  const limits = { members: null, projects: null, apiCalls: null };
  const { startsAt = new Date(Date.now() - 60_000).toISOString(), endsAt = null } = window;
  return makeFact({
    ...{ type: 'plan.changed', orgId, aggregate: { id: orgId, version }, actor: { userId: null } },
    ...{ requestId: 'test', before: null },
    after: {
      ...{ name: 'TEAM', startsAt, endsAt },
      ...{ limits: { ...limits, tasks }, otherwise: { ...limits, tasks: 2 } },
    },
  });
}

async function anOrg(tasks: number | null, window: Window = {}): Promise<Viewer> {
  const viewer = aViewer('ORG_ADMIN');
  const fact = planChanged(viewer.orgId, 1, tasks, window);
  await task.deliver(fact);
  await task.settled(fact);
  return viewer;
}

const CREATE = `mutation { taskCreate(input: { title: "Draw" }) {
  success userErrors { code message field } task { id key } } }`;
interface Made {
  success: boolean;
  userErrors: { code: string; message: string; field: string | null }[];
  task: { id: string; key: string };
}
/** Who waits for one of the ten connections in vain, on a slow machine, has made nothing and tries again. */
const create = (viewer: Viewer): Promise<Made> =>
  until('a connection', async () => {
    const { data, errors, text } = await task.send<{ taskCreate: Made }>(viewer, CREATE);
    if (errors[0]?.extensions.code === 'SUBGRAPH_UNAVAILABLE') return null;
    expect(errors, text).toEqual([]);
    return data?.taskCreate;
  });
const AT_ONCE = 20;
async function createMany(viewer: Viewer, count: number): Promise<Made[]> {
  const payloads: Made[] = [];
  let started = 0;
  const worker = async () => {
    while (started++ < count) payloads.push(await create(viewer));
  };
  await Promise.all(Array.from({ length: Math.min(count, AT_ONCE) }, worker));
  return payloads;
}
const made = (payloads: Made[]) => payloads.filter(({ success }) => success);

const USAGE = `query ($representations: [_Any!]!) { _entities(representations: $representations) {
  ... on OrganizationUsage { tasks { used limit } } } }`;
const entityOf = async (viewer: Viewer, id: string) =>
  (await task.ask(viewer, USAGE, { representations: [{ __typename: 'OrganizationUsage', id }] }))
    ._entities[0];
const usageOf = async (viewer: Viewer) => (await entityOf(viewer, viewer.orgId)).tasks;

async function checked(orgId: string): Promise<string> {
  const lines: string[] = [];
  const { appUrl, systemUrl } = task.database;
  const env = { TASK_DATABASE_URL: appUrl, TASK_SYSTEM_DATABASE_URL: systemUrl };
  await quotaCheck.run([orgId], { env, out: (line) => void lines.push(line) });
  return lines.join('\n');
}

describe('tasks', () => {
  it('are exactly as many as the plan allows, of two hundred that many make at once', async () => {
    const viewer = await anOrg(100);
    const payloads = await createMany(viewer, 200);
    expect(made(payloads)).toHaveLength(100);
    for (const { success, userErrors } of payloads)
      if (!success) expect(userErrors).toMatchObject([{ code: 'QUOTA_EXCEEDED', field: null }]);
    expect(await usageOf(viewer)).toEqual({ used: 100, limit: 100 });
    expect(await checked(viewer.orgId)).toBe('tasks: 100, as counted');
    // A refused task takes no number either.
    const keys = made(payloads).map((payload) => Number(payload.task.key.split('-')[1]));
    expect(keys.sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, n) => n + 1));
  }, 60_000);

  it('that are deleted make room, once each', async () => {
    const viewer = await anOrg(2);
    const [first] = made(await createMany(viewer, 2));
    expect((await create(viewer)).success).toBe(false);
    const remove = async () => {
      const answer = await task.ask(
        viewer,
        'mutation ($id: ID!) { taskDelete(input: { id: $id }) { success } }',
        { id: first?.task.id },
      );
      return answer.taskDelete.success;
    };
    const removed = await Promise.all([remove(), remove(), remove()]);
    expect(removed.filter(Boolean)).toHaveLength(1);
    expect(await usageOf(viewer)).toEqual({ used: 1, limit: 2 });
    expect(made(await createMany(viewer, 3))).toHaveLength(1);
    expect(await checked(viewer.orgId)).toBe('tasks: 2, as counted');
  });

  it('are counted and not refused before a plan was told, or with one without a limit', async () => {
    const untold = aViewer('ORG_ADMIN');
    expect(made(await createMany(untold, 3))).toHaveLength(3);
    expect(await usageOf(untold)).toEqual({ used: 3, limit: null });
    const late = planChanged(untold.orgId, 1, 3);
    await task.deliver(late);
    await task.settled(late);
    expect(await usageOf(untold)).toEqual({ used: 3, limit: 3 });
    expect((await create(untold)).userErrors[0]?.message).toBe(
      'The plan TEAM allows 3 tasks, and the organisation has 3. ' +
        'Delete tasks that nobody needs any more, or ask for a larger plan.',
    );
    expect(made(await createMany(await anOrg(null), 3))).toHaveLength(3);
  });

  it('of one organisation take nothing from another', async () => {
    const [one, other] = [await anOrg(2), await anOrg(2)];
    expect(made(await createMany(one, 4))).toHaveLength(2);
    expect(made(await createMany(other, 4))).toHaveLength(2);
  });

  it('beyond a contract that has ended stay, are read and changed; only more of them are refused', async () => {
    const viewer = await anOrg(10, { endsAt: new Date(Date.now() + 2_000).toISOString() });
    const tasks = made(await createMany(viewer, 5));
    expect(tasks).toHaveLength(5);
    await until('the contract to be over', async () => (await usageOf(viewer)).limit === 2);
    const listed = await task.ask(viewer, '{ tasks(first: 50) { nodes { id } } }');
    expect(listed.tasks.nodes).toHaveLength(5);
    const changed = await task.ask(
      viewer,
      'mutation ($id: ID!) { taskUpdate(input: { id: $id, title: "Still ours" }) { success } }',
      { id: tasks[0]?.task.id },
    );
    expect(changed.taskUpdate.success).toBe(true);
    expect((await create(viewer)).userErrors[0]).toMatchObject({
      code: 'QUOTA_EXCEEDED',
      message: expect.stringMatching(
        /^Without a contract the plan allows 2 tasks, and the organisation has 5\./,
      ),
    });
    expect(await usageOf(viewer)).toEqual({ used: 5, limit: 2 });
  });

  it('are limited by the plan of FREE before a contract starts', async () => {
    const viewer = await anOrg(10, { startsAt: new Date(Date.now() + 60_000).toISOString() });
    expect(made(await createMany(viewer, 4))).toHaveLength(2);
  });
});

describe('plan.changed', () => {
  it('delivered twice changes nothing, and an older one replaces no newer one', async () => {
    const viewer = await anOrg(5);
    await createMany(viewer, 3);
    const [newer, older] = [planChanged(viewer.orgId, 7, 4), planChanged(viewer.orgId, 6, 1)];
    await task.deliver(newer, newer, older);
    await task.settled(newer, older);
    expect(await usageOf(viewer)).toEqual({ used: 3, limit: 4 });
    expect(made(await createMany(viewer, 3))).toHaveLength(1);
  });

  it('helps at once, without anybody signing in anew', async () => {
    const viewer = await anOrg(1);
    expect(made(await createMany(viewer, 2))).toHaveLength(1);
    const larger = planChanged(viewer.orgId, 2, 50);
    await task.deliver(larger);
    await task.settled(larger);
    expect((await create(viewer)).success).toBe(true);
  });
});

describe('the entity OrganizationUsage', () => {
  it('is for the viewer’s own organisation, and its number for an ORG_ADMIN only', async () => {
    const viewer = await anOrg(5);
    expect(await entityOf(viewer, viewer.orgId)).toEqual({ tasks: { used: 0, limit: 5 } });
    for (const role of ['MANAGER', 'MEMBER', 'GUEST'] satisfies Role[])
      expect(await entityOf(aViewer(role, viewer.orgId), viewer.orgId), role).toEqual({ tasks: null });
    for (const id of [randomUUID(), 'no-uuid']) expect(await entityOf(viewer, id), id).toBeNull();
  });
});
