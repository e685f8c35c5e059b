/**
 * Places and identities of somebody else: cursors and sync ids of another tenant, subscriptions to another tenant's things,
 * and whatever a client writes into headers or connection_init to be taken for somebody else.
 */
import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { bytesOf } from '../kit/client.ts';
import { aMember, anOrg, aProject, aTask, aTeam, changeTask, type TestPerson } from '../kit/seed.ts';
import { openSocket } from '../kit/socket.ts';
import { aSupergraph, type TestSupergraph } from '../kit/supergraph.ts';
import { until } from '../kit/until.ts';

interface Tenant {
  ada: TestPerson;
  grace: TestPerson;
  teamId: string;
  projectId: string;
  taskId: string;
  syncId: string;
}

let supergraph: TestSupergraph;
let ours: Tenant;
let theirs: Tenant;

beforeAll(async () => {
  supergraph = await aSupergraph();
  [ours, theirs] = await Promise.all([aTenant(), aTenant()]);
});

/** Two of everything that is listed, so that a first page has a second. */
async function aTenant(): Promise<Tenant> {
  const ada = await anOrg(supergraph.client, 'Ada');
  const grace = await aMember(ada, 'MEMBER', 'Grace');
  const [team] = [await aTeam(ada), await aTeam(ada)];
  const [project] = [await aProject(ada, { teamIds: [team.id] }), await aProject(ada)];
  const task = await aTask(grace, { projectId: project.id, assigneeId: ada.id });
  await aTask(grace, { assigneeId: ada.id });
  await until('two notices', async () => {
    const { notifications } = await ada.client.ask<{ notifications: { nodes: unknown[] } }>(
      '{ notifications { nodes { id } } }',
    );
    return notifications.nodes.length === 2;
  });
  return { ada, grace, teamId: team.id, projectId: project.id, taskId: task.id, syncId: task.syncId };
}

const LISTS = ['users', 'teams', 'projects', 'tasks', 'notifications'];

describe('a cursor', () => {
  it.each(LISTS)('of another tenant’s %s is refused like one that was made up', async (list) => {
    const page = `query Q($after: String) { ${list}(first: 1, after: $after) { nodes { id } pageInfo { endCursor hasNextPage } } }`;
    type Page = Record<string, { pageInfo: { endCursor: string; hasNextPage: boolean } }>;
    const own = (await ours.ada.client.ask<Page>(page))[list]?.pageInfo;
    const foreign = (await theirs.ada.client.ask<Page>(page))[list]?.pageInfo;
    expect([own?.hasNextPage, foreign?.hasNextPage]).toEqual([true, true]);
    await ours.ada.client.ask(page, { after: own?.endCursor });
    const answer = await ours.ada.client.send(page, { after: foreign?.endCursor });
    expect(answer.errors.map(({ extensions }) => extensions.code)).toEqual(['BAD_USER_INPUT']);
    const madeUp = await ours.ada.client.send(page, { after: 'made up' });
    expect(bytesOf(answer)).toBe(bytesOf(madeUp));
  });
});

describe('a subscription', () => {
  const EVENTS = `subscription S($filter: TaskEventFilter, $after: String) { taskEvents(filter: $filter, after: $after) {
    __typename ... on TaskChange { taskId task { id } } ... on StreamHeartbeat { cursor } ... on ResyncRequired { reason } } }`;

  it('to another tenant’s project, task or person is refused in the bytes of one to nothing', async () => {
    const socket = await openSocket(supergraph.url, ours.ada.accessToken);
    const told = async (filter: object) => {
      const { type, payload } = await socket.subscribe(EVENTS, { filter }).frame();
      return JSON.stringify([type, payload]).replace(/"requestId":"[^"]*"/g, '');
    };
    const filters: [string, string][] = [
      ['projectId', theirs.projectId],
      ['taskId', theirs.taskId],
      ['assigneeId', theirs.grace.id],
    ];
    for (const [field, id] of filters) {
      const foreign = await told({ [field]: id });
      expect(foreign).toContain('NOT_FOUND');
      expect(foreign, field).toBe(await told({ [field]: randomUUID() }));
    }
  });

  it('shows nothing of what another tenant does, however much that is', async () => {
    const socket = await openSocket(supergraph.url, ours.ada.accessToken);
    const streams = [
      socket.subscribe(EVENTS),
      socket.subscribe(EVENTS, { filter: { projectId: ours.projectId } }),
      socket.subscribe(EVENTS, { filter: { assigneeId: ours.ada.id } }),
      socket.subscribe('subscription { notificationEvents { __typename } }'),
    ];
    for (const stream of streams) await stream.frame();
    // A thousand changes, twenty in a request.
    for (let round = 0; round < 50; round++) {
      const changes = Array.from(
        { length: 20 },
        (_, n) =>
          `c${n}: taskUpdate(input: { id: "${theirs.taskId}", title: "Round ${round}, change ${n}" }) { success }`,
      );
      await theirs.grace.client.ask(`mutation { ${changes.join(' ')} }`);
    }
    // Behind all of theirs in time, so that nothing of theirs can still be on its way when it arrives.
    await changeTask(ours.grace, { id: ours.taskId, title: 'ours' });
    expect(await streams[0]?.nextOf('TaskChange')).toMatchObject({
      taskId: ours.taskId,
      task: { id: ours.taskId },
    });
    for (const stream of streams) {
      const told = JSON.stringify(stream.waiting);
      for (const id of [theirs.taskId, theirs.projectId, theirs.ada.id, theirs.grace.id])
        expect(told).not.toContain(id);
    }
  }, 120_000);

  it('resumed from another tenant’s cursor or sync id is refused in the bytes of a made-up one', async () => {
    const theirSocket = await openSocket(supergraph.url, theirs.ada.accessToken);
    const { taskEvents } = await theirSocket
      .subscribe(
        'subscription { taskEvents { ... on StreamHeartbeat { cursor } ... on TaskChange { cursor } } }',
      )
      .next<{ taskEvents: { cursor: string } }>();
    const socket = await openSocket(supergraph.url, ours.ada.accessToken);
    const told = async (after: string) => {
      const { type, payload } = await socket.subscribe(EVENTS, { after }).frame();
      return JSON.stringify([type, payload]).replace(/"requestId":"[^"]*"/g, '');
    };
    expect(await told(taskEvents.cursor)).toBe(await told(`${taskEvents.cursor.slice(0, -2)}AA`));
    expect(await told(theirs.syncId)).toBe(await told(`task.${randomUUID()}`));
  });
});

describe('whoever writes another identity', () => {
  const WHO = '{ viewer { id role organization { id } } tasks { nodes { id } } }';

  /** The names that gateways, frameworks and we ourselves are known to read. */
  const names = [
    ...['context', 'viewer', 'established', 'org', 'org-id', 'user-id', 'role', 'session', 'plan', 'scopes'],
  ].flatMap((name) => [`taskflow-${name}`, `x-taskflow-${name}`, `x_taskflow_${name}`, `Taskflow-${name}`]);
  const others = [
    'id',
    'user-id',
    'tenant-id',
    'org-id',
    'organization-id',
    'role',
    'roles',
    'scopes',
    'email',
  ]
    .flatMap((name) => [`x-${name}`, `x_${name.replaceAll('-', '_')}`, `X-${name.toUpperCase()}`])
    .concat(['x-forwarded-user', 'x-forwarded-email', 'x-auth-request-user', 'remote-user', 'x-remote-user']);

  it('into headers, in whatever spelling, stays who they are', async () => {
    const { ada, grace } = ours;
    const honest = bytesOf(await grace.client.send(WHO));
    const values = [
      theirs.ada.id,
      theirs.ada.organizationId,
      ada.id,
      'ORG_ADMIN',
      JSON.stringify({ orgId: theirs.ada.organizationId, userId: theirs.ada.id, role: 'ORG_ADMIN' }),
      `v1.dev.${Buffer.from(JSON.stringify({ viewer: { userId: ada.id } })).toString('base64url')}.AAAA`,
    ];
    const all = [...new Set([...names, ...others].map((name) => name.toLowerCase()))];
    for (const value of values) {
      // A few at a time: together they are more than the 16 kB that a request's head may have.
      for (let at = 0; at < all.length; at += 12) {
        const headers = Object.fromEntries(all.slice(at, at + 12).map((name) => [name, value]));
        expect(bytesOf(await grace.client.send(WHO, {}, headers)), `${Object.keys(headers)}: ${value}`).toBe(
          honest,
        );
      }
    }
  });

  it('into the body, beside the query, stays who they are', async () => {
    const honest = (await ours.grace.client.send(WHO)).text;
    const identity = {
      viewer: { orgId: theirs.ada.organizationId, userId: theirs.ada.id, role: 'ORG_ADMIN' },
    };
    const response = await fetch(supergraph.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${ours.grace.accessToken}` },
      body: JSON.stringify({
        ...{ query: WHO, variables: { ...identity, context: identity }, ...identity, context: identity },
        extensions: { ...identity, context: 'v1.dev.e30.AAAA', claims: identity, after: 1 },
      }),
    });
    expect(await response.text()).toBe(honest);
  });

  it('into connection_init, as if somebody had decoded a token, is nobody', async () => {
    const identity = { orgId: theirs.ada.organizationId, userId: theirs.ada.id, role: 'ORG_ADMIN' };
    const payloads: object[] = [
      { viewer: identity },
      { user: identity, claims: identity, context: identity },
      { ...identity, sub: theirs.ada.id, org_id: theirs.ada.organizationId },
      { token: theirs.ada.accessToken.split('.')[1] },
      { authorization: identity },
      { authorization: { authorization: `Bearer ${theirs.ada.accessToken}` } },
      { authorization: [`Bearer ${theirs.ada.accessToken}`] },
      { authorization: JSON.stringify(identity) },
      { headers: { authorization: `Bearer ${theirs.ada.accessToken}` } },
      { __proto__: { authorization: 'Bearer x' }, constructor: { authorization: 'Bearer x' } },
      { extensions: { context: 'v1.dev.e30.AAAA' } },
    ];
    for (const payload of payloads) {
      const socket = await openSocket(supergraph.url, undefined);
      socket.send({ type: 'connection_init', payload });
      expect([payload, (await socket.closed).code]).toEqual([payload, 4401]);
    }
  });

  it('into a message of the socket stays who they are', async () => {
    const socket = await openSocket(supergraph.url, ours.grace.accessToken);
    const extensions = { context: 'v1.dev.e30.AAAA', viewer: { userId: theirs.ada.id } };
    const { viewer } = await socket
      .subscribe('{ viewer { id } }', { viewer: { userId: theirs.ada.id } }, extensions)
      .next<{ viewer: { id: string } }>();
    expect(viewer.id).toBe(ours.grace.id);
  });
});
