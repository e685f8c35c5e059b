/** A plan from the operator's command to every part that counts, and back in one answer. */
import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { readRouterConfig } from '@taskflow/router/config';
import { createRouter } from '@taskflow/router/server';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createTestClient } from '../../kit/client.ts';
import { aMember, anOrg, aProject, aTask, type TestPerson } from '../../kit/seed.ts';
import { aSupergraph, type TestSupergraph } from '../../kit/supergraph.ts';
import { until } from '../../kit/until.ts';

let supergraph: TestSupergraph;
beforeAll(async () => {
  supergraph = await aSupergraph({
    env: {
      ...{ ORG_PLAN_FREE_MEMBERS_MAX: '2', ORG_PLAN_FREE_PROJECTS_MAX: '1' },
      ...{ ORG_PLAN_FREE_TASKS_MAX: '2', ORG_PLAN_FREE_API_CALLS_MAX: '60' },
      ...{ ORG_PLAN_TEAM_API_CALLS_MAX: '10000', ORG_USAGE_FLUSH_MS: '100' },
    },
  });
}, 60_000);

const USAGE = `{ organization { plan { name isDowngraded } usage {
  members { used limit } projects { used limit } tasks { used limit } apiCalls { used limit } } } }`;

interface Count {
  used: number;
  limit: number | null;
}
interface Answer {
  organization: {
    plan: { name: string; isDowngraded: boolean };
    usage: Record<'members' | 'projects' | 'tasks' | 'apiCalls', Count | null>;
  };
}
const look = async (by: TestPerson) => (await by.client.ask<Answer>(USAGE)).organization;

/** As at the operator's desk. */
function operator(...args: string[]): Promise<string> {
  const script = resolve(import.meta.dirname, '../../../dev/operator.ts');
  const env = { ...process.env, ...supergraph.env, TASKFLOW_DIR: '/nonexistent' };
  return new Promise((done, fail) => {
    execFile(process.execPath, [script, ...args], { env, timeout: 60_000 }, (error, out, told) =>
      error ? fail(new Error(`${told}${out}`)) : done(out),
    );
  });
}

const TASK = `mutation { taskCreate(input: { title: "One more" }) { success userErrors { code field message } } }`;
const oneMore = async (by: TestPerson) => {
  const { data, errors } = await by.client.send<{
    taskCreate: { success: boolean; userErrors: { code: string }[] };
  }>(TASK);
  expect(errors).toEqual([]);
  return data?.taskCreate;
};

describe('an organisation', () => {
  it('reads in one answer what each part counts, and is refused what goes beyond', async () => {
    const ada = await anOrg(supergraph.client);
    await until('every part to know the plan', async () =>
      Object.values((await look(ada)).usage).every((count) => count !== null && count.limit !== null),
    );
    await aMember(ada);
    await aProject(ada);
    await aTask(ada);
    await aTask(ada);
    expect(await look(ada)).toMatchObject({
      plan: { name: 'FREE', isDowngraded: false },
      usage: {
        members: { used: 2, limit: 2 },
        projects: { used: 1, limit: 1 },
        tasks: { used: 2, limit: 2 },
        apiCalls: { limit: 60 },
      },
    });
    expect(await oneMore(ada)).toMatchObject({ success: false, userErrors: [{ code: 'QUOTA_EXCEEDED' }] });
    await expect(aMember(ada)).rejects.toThrow('QUOTA_EXCEEDED');
    await expect(aProject(ada)).rejects.toThrow('QUOTA_EXCEEDED');
  });

  it('with a larger plan goes on within seconds, with the token it has, also where its calls were used up', async () => {
    const ada = await anOrg(supergraph.client);
    await until('the calls of the month to be used up', async () => {
      const { errors, status } = await ada.client.send(USAGE);
      return status === 429 && errors[0]?.extensions.code === 'RATE_LIMITED';
    });
    // Signing in is free: it is how people come back.
    const login = `mutation ($email: String!, $password: String!) { login(input: { email: $email, password: $password }) { success } }`;
    expect(await supergraph.client.ask(login, { email: ada.email, password: ada.password })).toBeTruthy();
    const told = await operator('plan', 'set', ada.organizationId, 'TEAM');
    expect(told).toContain('has the plan TEAM, in force');
    await until('the larger plan to be heard of', async () => (await ada.client.send(USAGE)).status === 200);
    const { usage } = await until('every part to know it', async () => {
      const found = await look(ada);
      return found.usage.tasks?.limit === 200_000 && found.usage.members?.limit === 500 && found;
    });
    expect(usage.apiCalls).toMatchObject({ limit: 10_000 });
    expect(usage.apiCalls?.used).toBeGreaterThanOrEqual(60);
    for (let n = 0; n < 3; n++) expect(await oneMore(ada)).toMatchObject({ success: true });
  }, 60_000);

  it('reads null for what a part counts that is away, and the rest beside it', async () => {
    const ada = await anOrg(supergraph.client);
    const router = createRouter(
      readRouterConfig({ ...supergraph.env, ROUTER_TASK_URL: 'http://127.0.0.1:9/graphql' }),
    );
    await router.start();
    onTestFinished(() => router.stop());
    const client = createTestClient(`${router.url}/graphql`, ada.accessToken);
    const { data, errors } = await client.send<Answer>(USAGE);
    expect(data?.organization.usage).toMatchObject({
      ...{ members: { used: 1 }, projects: { used: 0 }, tasks: null },
    });
    expect(errors).toMatchObject([{ extensions: { code: 'SUBGRAPH_UNAVAILABLE' } }]);
  });

  it('keeps its counters right, says the operator’s command', async () => {
    const ada = await anOrg(supergraph.client);
    await aTask(ada);
    expect(await operator('quota', 'check', ada.organizationId)).toBe(
      'members: 1, as counted\nprojects: 0, as counted\ntasks: 1, as counted\n',
    );
  }, 60_000);
});
