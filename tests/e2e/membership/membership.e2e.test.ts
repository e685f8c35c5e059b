/**
 * What becomes of somebody whose membership changes, across the supergraph: their tokens and sockets stop, their teams
 * lose them, their tasks keep them. And of everybody when an operator suspends the organisation.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { aMember, anOrg, aTask, aTeam, joinsTeam, PASSWORD, type TestPerson } from '../../kit/seed.ts';
import { openSocket } from '../../kit/socket.ts';
import { aSupergraph, type TestSupergraph } from '../../kit/supergraph.ts';
import { until } from '../../kit/until.ts';

let supergraph: TestSupergraph;
beforeAll(async () => {
  supergraph = await aSupergraph();
  await until('facts to travel', () => anOrg(supergraph.client, 'First'));
});

const EVENTS =
  'subscription { taskEvents { __typename ... on TaskChange { taskId } ... on StreamHeartbeat { cursor } } }';
const change = (by: TestPerson, field: string, input: object) =>
  by.client.ask(
    `mutation ($input: ${field[0]?.toUpperCase()}${field.slice(1)}Input!) {
       ${field}(input: $input) { success userErrors { code message field } user { id status } } }`,
    { input },
  );
const codes = async (by: TestPerson, query = '{ viewer { id } }') =>
  (await by.client.send(query)).errors.map(({ extensions }) => extensions.code);
const refused = async (by: TestPerson, code: string, ms = 1_000) => {
  const startedAt = performance.now();
  await until(`${code} for ${by.name}`, async () => (await codes(by)).includes(code));
  expect(performance.now() - startedAt).toBeLessThan(ms);
};
async function listening(person: TestPerson) {
  const socket = await openSocket(supergraph.url, person.accessToken);
  await socket.subscribe(EVENTS).nextOf('StreamHeartbeat');
  return socket;
}
const refresh = (person: TestPerson) =>
  supergraph.client.send<{ tokenRefresh: { success: boolean; accessToken: string } }>(
    'mutation ($input: TokenRefreshInput!) { tokenRefresh(input: $input) { success accessToken } }',
    { input: { refreshToken: person.refreshToken } },
  );
const login = async ({ email }: TestPerson) =>
  (
    await supergraph.client.send<{ login: { success: boolean; userErrors: { code: string }[] } }>(
      'mutation ($input: LoginInput!) { login(input: $input) { success userErrors { code } } }',
      { input: { email, password: PASSWORD } },
    )
  ).data?.login;

describe.each([
  ['removed', (ada: TestPerson, grace: TestPerson) => change(ada, 'userRemove', { id: grace.id })],
  ['suspended', (ada: TestPerson, grace: TestPerson) => change(ada, 'userSuspend', { id: grace.id })],
  ['gone by themselves', (_: TestPerson, grace: TestPerson) => change(grace, 'organizationLeave', {})],
] as const)('a member who was %s', (_how, change) => {
  it('is signed out: tokens are refused and sockets closed with 4403 within a second', async () => {
    const ada = await anOrg(supergraph.client, 'Ada');
    const grace = await aMember(ada);
    const [hers, adas] = [await listening(grace), await listening(ada)];
    await change(ada, grace);
    const startedAt = performance.now();
    const { code } = await hers.closed;
    expect(code).toBe(4403);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    await refused(grace, 'SESSION_REVOKED');
    expect((await refresh(grace)).data?.tokenRefresh.success).toBe(false);
    expect(await login(grace)).toMatchObject({
      success: false,
      userErrors: [{ code: 'INVALID_CREDENTIALS' }],
    });
    expect(await codes(ada)).toEqual([]);
    adas.cut();
  });
});

describe('a member who was removed', () => {
  it('leaves their teams, keeps their tasks, can be given no other, and comes back as themselves', async () => {
    const ada = await anOrg(supergraph.client, 'Ada');
    const grace = await aMember(ada, 'MANAGER');
    const team = await aTeam(ada);
    await joinsTeam(ada, team.id, grace, 'MANAGER');
    const task = await aTask(ada, { assigneeId: grace.id });
    await change(ada, 'userRemove', { id: grace.id });

    const TEAM = `query ($id: ID!) { team(id: $id) { memberCount
      members(includeFormer: true) { nodes { leftAt user { id name status } } } } }`;
    const read = async () =>
      (await ada.client.ask<{ team: Record<string, unknown> }>(TEAM, { id: team.id })).team;
    const left = await until('the stay to end', async () => {
      const found = await read();
      return found.memberCount === 0 && found;
    });
    const who = { id: grace.id, name: 'Grace', status: 'REMOVED' };
    expect(left).toMatchObject({ members: { nodes: [{ leftAt: expect.any(String), user: who }] } });
    const kept = await ada.client.ask('query ($id: ID!) { task(id: $id) { assignee { id name status } } }', {
      id: task.id,
    });
    expect(kept).toEqual({ task: { assignee: who } });

    const assign = () =>
      ada.client.send(
        'mutation ($input: TaskCreateInput!) { taskCreate(input: $input) { userErrors { code field } } }',
        { input: { title: 'Another', assigneeId: grace.id } },
      );
    await until('task to know of it', async () => (await assign()).text.includes('NOT_FOUND'));
    const kicked = await ada.client.ask(
      'mutation ($input: TaskUpdateInput!) { taskUpdate(input: $input) { success userErrors { code } task { title assignee { id } } } }',
      { input: { id: task.id, title: 'Renamed' } },
    );
    expect(kicked).toMatchObject({ taskUpdate: { success: true, task: { assignee: { id: grace.id } } } });

    const { inviteCreate } = await ada.client.ask<{ inviteCreate: { token: string } }>(
      'mutation ($input: InviteCreateInput!) { inviteCreate(input: $input) { success token } }',
      { input: { email: grace.email, role: 'MEMBER' } },
    );
    const { inviteAccept } = await supergraph.client.ask<{
      inviteAccept: { accessToken: string; user: { id: string } };
    }>(
      `mutation ($input: InviteAcceptInput!) { inviteAccept(input: $input) {
         success userErrors { code } accessToken user { id role status openTaskCount } } }`,
      { input: { token: inviteCreate.token, name: 'Grace', password: PASSWORD } },
    );
    expect(inviteAccept.user).toEqual({ id: grace.id, role: 'MEMBER', status: 'ACTIVE', openTaskCount: 1 });
    const back = { ...grace, client: supergraph.client.as(inviteAccept.accessToken) };
    expect(await codes(back)).toEqual([]);
    // Their session is gone: a refresh is asked for, and refused.
    expect(await codes(grace)).toEqual(['TOKEN_EXPIRED']);
    expect((await refresh(grace)).data?.tokenRefresh.success).toBe(false);
  });
});

describe('a member whose role was changed', () => {
  it('needs a refresh and no new login; their socket is closed with 4401', async () => {
    const ada = await anOrg(supergraph.client, 'Ada');
    const grace = await aMember(ada);
    const socket = await listening(grace);
    await change(ada, 'userRoleChange', { id: grace.id, role: 'MANAGER' });
    expect((await socket.closed).code).toBe(4401);
    await refused(grace, 'TOKEN_EXPIRED');
    const refreshed = (await refresh(grace)).data?.tokenRefresh;
    const { viewer } = await supergraph.client
      .as(refreshed?.accessToken ?? null)
      .ask<{ viewer: object }>('{ viewer { id role } }');
    expect(viewer).toEqual({ id: grace.id, role: 'MANAGER' });
  });
});

describe('an organisation that an operator suspends', () => {
  const operator = (...args: string[]) =>
    new Promise<string>((resolve, reject) => {
      const env = {
        ...{ PATH: process.env.PATH, ...supergraph.env },
        ...Object.fromEntries(
          Object.entries(supergraph.databases).map(([name, { ownerUrl }]) => [
            `${name.toUpperCase()}_OWNER_DATABASE_URL`,
            ownerUrl,
          ]),
        ),
        TASKFLOW_DIR: mkdtempSync(join(tmpdir(), 'taskflow-operator-')),
      };
      const script = new URL('../../../dev/operator.ts', import.meta.url).pathname;
      execFile(process.execPath, [script, ...args], { env, timeout: 30_000 }, (error, out, told) =>
        error ? reject(new Error(told)) : resolve(out),
      );
    });

  it('signs everybody out until it is reinstated, and nobody of another one', async () => {
    const [ada, eve] = [await anOrg(supergraph.client, 'Ada'), await anOrg(supergraph.client, 'Eve')];
    const grace = await aMember(ada);
    const { organization } = await ada.client.ask<{ organization: { slug: string } }>(
      '{ organization { slug } }',
    );
    const { inviteCreate } = await ada.client.ask<{ inviteCreate: { token: string } }>(
      'mutation ($input: InviteCreateInput!) { inviteCreate(input: $input) { success token } }',
      { input: { email: `alan-${ada.id}@acme.test`, role: 'MEMBER' } },
    );
    const accept = () =>
      supergraph.client.send<{ inviteAccept: { success: boolean; userErrors: { code: string }[] } }>(
        'mutation ($input: InviteAcceptInput!) { inviteAccept(input: $input) { success userErrors { code } } }',
        { input: { token: inviteCreate.token, name: 'Alan', password: PASSWORD } },
      );
    const sockets = [await listening(ada), await listening(grace)];
    const bystander = await listening(eve);

    expect(await operator('organization', 'suspend', organization.slug)).toContain('is suspended');
    for (const socket of sockets) expect((await socket.closed).code).toBe(4403);
    for (const person of [ada, grace]) {
      await refused(person, 'SESSION_REVOKED');
      expect((await refresh(person)).data?.tokenRefresh.success).toBe(false);
      expect(await login(person)).toMatchObject({ userErrors: [{ code: 'INVALID_CREDENTIALS' }] });
    }
    expect((await accept()).data?.inviteAccept).toMatchObject({ userErrors: [{ code: 'NOT_FOUND' }] });
    expect(await operator('organization', 'suspend', ada.organizationId)).toContain('suspended already');
    expect(await codes(eve)).toEqual([]);

    expect(await operator('organization', 'reinstate', ada.organizationId)).toContain('works again');
    await until('login to work', async () => (await login(grace))?.success);
    expect((await refresh(ada)).data?.tokenRefresh.success).toBe(true);
    expect((await accept()).data?.inviteAccept.success).toBe(true);
    bystander.cut();
  });

  it('must be one that there is', async () => {
    await expect(operator('organization', 'suspend', 'nobody')).rejects.toThrow(
      'there is no organisation "nobody"',
    );
    await expect(operator('organization', 'suspend')).rejects.toThrow(
      'usage: npm run operator -- organization suspend',
    );
  });
});
