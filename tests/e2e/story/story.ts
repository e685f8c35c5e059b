/**
 * The story that runs through all rooms, from sign-up to a live, resumable event. It is told to whatever serves `client`:
 * once to a supergraph in one process, once to five processes, and once while they are being killed.
 */
import { expect } from 'vitest';
import { bytesOf, type TestClient } from '../../kit/client.ts';
import {
  aMember,
  anOrg,
  aProject,
  aTask,
  aTeam,
  changeTask,
  joinsTeam,
  type TestPerson,
} from '../../kit/seed.ts';
import { openSocket } from '../../kit/socket.ts';
import { until } from '../../kit/until.ts';

const TASK_EVENTS = `subscription TaskEvents($after: String) { taskEvents(after: $after) { __typename
  ... on StreamHeartbeat { cursor }
  ... on ResyncRequired { cursor reason }
  ... on TaskChange { cursor kind taskId version changedFields occurredAt
    actor { name email }
    task { key title status
      assignee { name role notificationCounts { unread unseen } }
      project { key name progress teams { name parent { name } } } } } } }`;

const NOTIFICATION_EVENTS = `subscription { notificationEvents { __typename
  ... on NotificationChange { cursor counts { unread unseen } notification { kind title task { key } actor { name } } } } }`;

const ABSENT_ID = '01900000-0000-7000-8000-000000000000';

/** What the teller may do between the scenes: count, or kill a process. */
export interface Interludes {
  beforeTask?(): Promise<void> | void;
  afterTask?(): Promise<void> | void;
}

export async function tellStory(
  client: TestClient,
  { beforeTask, afterTask }: Interludes = {},
): Promise<void> {
  // Ada registers, founding an organisation, invites Grace, and Grace accepts.
  const ada = await anOrg(client, 'Ada');
  const grace = await aMember(ada, 'MEMBER', 'Grace');
  const mallory = await anOrg(client, 'Mallory');
  expect(grace.organizationId).toBe(ada.organizationId);

  // A team under a team, Grace in it, and a project of that team.
  const engineering = await aTeam(ada, { name: 'Engineering' });
  const frontend = await aTeam(ada, { name: 'Frontend', parentTeamId: engineering.id });
  await joinsTeam(ada, frontend.id, grace);
  const project = await aProject(ada, { name: 'Board', key: 'BOARD', teamIds: [frontend.id] });

  // Grace listens.
  const socket = await openSocket(client.url, grace.accessToken);
  const taskEvents = socket.subscribe(TASK_EVENTS);
  const inboxEvents = socket.subscribe(NOTIFICATION_EVENTS);
  await Promise.all([taskEvents.nextOf('StreamHeartbeat'), inboxEvents.nextOf('StreamHeartbeat')]);

  // A task for Grace, and the event that takes fields from all four subgraphs.
  await beforeTask?.();
  const task = await aTask(ada, { title: 'Draw the board', projectId: project.id, assigneeId: grace.id });
  const change = await taskEvents.nextOf('TaskChange');
  await afterTask?.();
  expect(change).toMatchObject({
    ...{ kind: 'CREATED', taskId: task.id, version: 1 },
    actor: { name: 'Ada', email: ada.email },
    task: {
      ...{ key: 'BOARD-1', title: 'Draw the board', status: 'TODO' },
      assignee: { name: 'Grace', role: 'MEMBER' },
      project: {
        key: 'BOARD',
        name: 'Board',
        teams: [{ name: 'Frontend', parent: { name: 'Engineering' } }],
      },
    },
  });
  // The inbox may lag behind the event: present, whatever the numbers.
  expect(change.task.assignee.notificationCounts).toMatchObject({
    unread: expect.any(Number),
    unseen: expect.any(Number),
  });

  await graceIsTold(grace, inboxEvents);

  // Grace's socket is cut, two tasks change, and she goes on where she was.
  socket.cut();
  await socket.closed;
  const started = await changeTask(ada, { id: task.id, status: 'IN_PROGRESS' });
  const second = await aTask(ada, { title: 'Colour the board', projectId: project.id, assigneeId: grace.id });
  const again = await openSocket(client.url, grace.accessToken);
  const resumed = again.subscribe(TASK_EVENTS, { after: change.cursor });
  const missed = [await resumed.nextOf('TaskChange'), await resumed.nextOf('TaskChange')];
  expect(missed.map(({ kind, taskId, version }) => ({ kind, taskId, version }))).toEqual([
    { kind: 'UPDATED', taskId: task.id, version: started.version },
    { kind: 'CREATED', taskId: second.id, version: 1 },
  ]);
  expect(missed[0].changedFields).toContain('status');
  // A third change is the next event: nothing comes twice, and nothing else was missed.
  const third = await changeTask(ada, { id: second.id, title: 'Colour the whole board' });
  const next = await resumed.nextOf('TaskChange');
  expect(next).toMatchObject({ kind: 'UPDATED', taskId: second.id, version: third.version });
  expect(resumed.waiting.filter((frame) => JSON.stringify(frame).includes('TaskChange'))).toEqual([]);

  await progressFollows(ada, project.id, task.id);
  await mallorySeesNothing(mallory, {
    taskId: task.id,
    projectId: project.id,
    teamId: frontend.id,
    cursor: change.cursor,
  });
}

async function graceIsTold(
  grace: TestPerson,
  inboxEvents: { nextOf(typename: string): Promise<Record<string, unknown>> },
): Promise<void> {
  const told = await inboxEvents.nextOf('NotificationChange');
  expect(told).toMatchObject({
    counts: { unread: 1, unseen: 1 },
    notification: { kind: 'TASK_ASSIGNED', task: { key: 'BOARD-1' }, actor: { name: 'Ada' } },
  });
  const inbox = await grace.client.ask<{
    notifications: { nodes: { title: string }[] };
    notificationCounts: object;
  }>(
    `{ notifications { nodes { title task { key } actor { name } } } notificationCounts { unread unseen } }`,
  );
  expect(inbox.notifications.nodes).toHaveLength(1);
  expect(inbox.notifications.nodes[0]?.title).toContain('Draw the board');
  expect(inbox.notificationCounts).toEqual({ unread: 1, unseen: 1 });
}

async function progressFollows(ada: TestPerson, projectId: string, taskId: string): Promise<void> {
  await changeTask(ada, { id: taskId, status: 'DONE' });
  await until('the progress of the project', async () => {
    const { project } = await ada.client.ask<{ project: { progress: number } }>(
      `query Progress($id: ID!) { project(id: $id) { progress } }`,
      { id: projectId },
    );
    return project.progress === 50;
  });
}

/** Whatever Mallory names, the answer is the one for an id that does not exist, byte for byte. */
async function mallorySeesNothing(
  mallory: TestPerson,
  ids: { taskId: string; projectId: string; teamId: string; cursor: string },
): Promise<void> {
  const questions: [string, string][] = [
    ['query Q($id: ID!) { task(id: $id) { id title assignee { name } } }', ids.taskId],
    ['query Q($id: ID!) { project(id: $id) { id name tasks { nodes { id } } } }', ids.projectId],
    ['query Q($id: ID!) { team(id: $id) { id name memberCount } }', ids.teamId],
    [
      `mutation Q($id: ID!) { taskUpdate(input: { id: $id, title: "mine" }) { success userErrors { code message field } task { id } } }`,
      ids.taskId,
    ],
    [
      `mutation Q($id: ID!) { taskDelete(input: { id: $id }) { success userErrors { code message field } } }`,
      ids.taskId,
    ],
    [
      `mutation Q($id: ID!) { taskCreate(input: { title: "mine", projectId: $id }) { success userErrors { code message field } task { id } } }`,
      ids.projectId,
    ],
    [
      `mutation Q($id: ID!) { teamUpdate(input: { id: $id, name: "mine" }) { success userErrors { code message field } } }`,
      ids.teamId,
    ],
    [
      `mutation Q($id: ID!) { projectUpdate(input: { id: $id, name: "mine" }) { success userErrors { code message field } } }`,
      ids.projectId,
    ],
  ];
  for (const [query, id] of questions) {
    const foreign = await mallory.client.send(query, { id });
    const absent = await mallory.client.send(query, { id: ABSENT_ID });
    expect(bytesOf(foreign), query).toBe(bytesOf(absent));
    expect(foreign.text).not.toContain('Draw the board');
  }
  const everything = await mallory.client.send(
    '{ tasks { nodes { id } } projects { nodes { id } } teamTree { id } notifications { nodes { id } } users { nodes { name } } }',
  );
  expect(everything.data).toMatchObject({
    ...{ tasks: { nodes: [] }, projects: { nodes: [] }, teamTree: [], notifications: { nodes: [] } },
    users: { nodes: [{ name: 'Mallory' }] },
  });
  const socket = await openSocket(mallory.client.url, mallory.accessToken);
  const byTask = 'subscription S($id: ID!) { taskEvents(filter: { taskId: $id }) { __typename } }';
  const answers = [];
  for (const id of [ids.taskId, ABSENT_ID]) {
    const { type, payload } = await socket.subscribe(byTask, { id }).frame();
    answers.push(JSON.stringify({ type, payload }).replace(/"requestId":"[^"]*"/g, ''));
  }
  expect(answers[0]).toBe(answers[1]);
  expect(answers[0]).toContain('NOT_FOUND');
  const stolen = await socket.subscribe(TASK_EVENTS, { after: ids.cursor }).frame();
  expect(JSON.stringify(stolen)).toContain('BAD_USER_INPUT');
}
