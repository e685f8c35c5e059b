import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  anOrganization,
  aTask,
  aTaskService,
  type Caller,
  change,
  TASK,
  type TestOrganization,
  type TestTaskService,
} from './fixture.ts';

let service: TestTaskService;
let org: TestOrganization;
let ada: Caller;
let grace: Caller;
let boss: Caller;
let teamId: string;
beforeAll(async () => {
  service = await aTaskService();
  org = anOrganization(service);
  ada = org.admin;
  [grace, boss] = [await org.joins(), await org.joins('MANAGER')];
  teamId = await org.team();
  await org.joinsTeam(boss, teamId, 'MANAGER');
});

const ENTITIES = `query ($refs: [_Any!]!, $first: Int, $after: String) { _entities(representations: $refs) {
  ... on Task { ${TASK} } ... on User { openTaskCount }
  ... on Project { tasks(first: $first, after: $after) { totalCount nodes { id title } pageInfo { hasNextPage endCursor } } } } }`;

const refsOf = (__typename: string, ids: readonly string[]) => ids.map((id) => ({ __typename, id }));

async function entities(caller: Caller, __typename: string, ids: readonly string[], page: object = {}) {
  return (await caller.ask(ENTITIES, { refs: refsOf(__typename, ids), ...page }))._entities;
}

/** Counts what the same question costs about 1, 10 and 100 things. */
async function statementsFor(ids: readonly string[], ask: (some: string[]) => Promise<unknown>) {
  const counts: number[] = [];
  for (const count of [1, 10, 100]) {
    service.takeStatements();
    await ask(ids.slice(0, count));
    counts.push(service.takeStatements().length);
  }
  return counts;
}

describe('Task', () => {
  test('references answer in their order; absent, foreign, invisible and malformed ones are null', async () => {
    const [hers, adas] = [await aTask(grace), await aTask(ada)];
    const foreign = await aTask(anOrganization(service).admin);
    const ids = [randomUUID(), hers.id, adas.id, foreign.id, 'x', hers.id.toUpperCase()];
    const found = await entities(grace, 'Task', ids);
    expect(found.map((task: { id: string } | null) => task?.id ?? null)).toEqual([
      ...[null, hers.id, null, null, null],
      hers.id,
    ]);
    expect((await entities(ada, 'Task', ids)).filter(Boolean)).toHaveLength(3);
  });

  test('references take two statements, be they 1, 10 or 100: the tasks, and what the viewer sees', async () => {
    const made = await Promise.all(Array.from({ length: 100 }, () => aTask(grace)));
    const ids = made.map(({ id }) => id);
    expect(await statementsFor(ids, (some) => entities(grace, 'Task', some))).toEqual([2, 2, 2]);
    expect(await statementsFor(ids, (some) => entities(ada, 'Task', some))).toEqual([1, 1, 1]);
  });

  test('lists take two statements for all fields, be they of 1, 10 or 100 tasks', async () => {
    const query = `query ($first: Int) { tasks(first: $first) { nodes { ${TASK} } } }`;
    const sizes = Array.from({ length: 100 }, () => randomUUID());
    const ask = (some: string[]) => grace.ask(query, { first: some.length });
    expect(await statementsFor(sizes, ask)).toEqual([2, 2, 2]);
  });
});

describe('User.openTaskCount', () => {
  test('counts what is neither done nor canceled nor deleted, among what the viewer sees', async () => {
    const linus = await org.joins();
    const assigneeId = linus.viewer.userId;
    const project = await org.project(teamId);
    await aTask(grace, { assigneeId });
    await aTask(ada, { assigneeId, projectId: project.id, status: 'IN_REVIEW' });
    await aTask(ada, { assigneeId, status: 'DONE' });
    await aTask(ada, { assigneeId, status: 'CANCELED' });
    const count = async (caller: Caller) => (await entities(caller, 'User', [assigneeId]))[0].openTaskCount;
    expect(await Promise.all([ada, linus, grace, boss].map(count))).toEqual([2, 2, 1, 1]);
    expect(await count(anOrganization(service).admin)).toBe(0);
  });

  test('takes one statement for 1, 10 or 100 people, some of whom do not exist', async () => {
    const ids = [grace.viewer.userId, 'x', ...Array.from({ length: 98 }, () => randomUUID())];
    expect(await statementsFor(ids, (some) => entities(ada, 'User', some))).toEqual([1, 1, 1]);
  });
});

describe('Project.tasks', () => {
  test('shows a page of what the viewer sees, newest first, and goes on behind its cursor', async () => {
    const project = await org.project(teamId);
    for (const title of ['A', 'B', 'C']) await aTask(ada, { title, projectId: project.id });
    await aTask(grace, { title: 'D', projectId: project.id });
    const [first] = await entities(boss, 'Project', [project.id], { first: 3 });
    expect(first.tasks).toMatchObject({ totalCount: 4, pageInfo: { hasNextPage: true } });
    expect(first.tasks.nodes.map((task: { title: string }) => task.title)).toEqual(['D', 'C', 'B']);
    const after = first.tasks.pageInfo.endCursor;
    const [second] = await entities(boss, 'Project', [project.id], { first: 3, after });
    expect(second.tasks.nodes.map((task: { title: string }) => task.title)).toEqual(['A']);
    const [hers] = await entities(grace, 'Project', [project.id]);
    expect(hers.tasks).toMatchObject({ totalCount: 1, nodes: [{ title: 'D' }] });
    const [nothing, absent] = await entities(anOrganization(service).admin, 'Project', [project.id, 'x']);
    expect(nothing).toEqual(absent);
    expect(nothing.tasks).toMatchObject({ totalCount: 0, nodes: [] });
  });

  test('refuses the cursor of another project for that project alone, and a bad page size', async () => {
    const [one, two] = [await org.project(), await org.project()];
    for (const projectId of [one.id, one.id, two.id]) await aTask(ada, { projectId });
    const [{ tasks }] = await entities(ada, 'Project', [one.id], { first: 1 });
    const variables = { refs: refsOf('Project', [one.id, two.id]), after: tasks.pageInfo.endCursor };
    const { data, errors } = await ada.send(ENTITIES, variables);
    expect(data._entities[0].tasks.nodes).toHaveLength(1);
    expect(data._entities[1].tasks).toBeNull();
    expect(errors.map(({ extensions }) => extensions.code)).toEqual(['BAD_USER_INPUT']);
    const negative = await ada.send(ENTITIES, { refs: refsOf('Project', [one.id]), first: -1 });
    expect(negative.errors[0]?.extensions.code).toBe('BAD_USER_INPUT');
  });

  test('takes two statements with its counts for 1, 10 or 100 projects', async () => {
    const projects = await Promise.all(Array.from({ length: 100 }, () => org.project(teamId)));
    const ids = projects.map(({ id }) => id);
    await Promise.all(ids.slice(0, 20).map((projectId) => aTask(ada, { projectId })));
    expect(await statementsFor(ids, (some) => entities(boss, 'Project', some))).toEqual([2, 2, 2]);
  });
});

test('a task that changes between two requests is read anew', async () => {
  const task = await aTask(ada);
  await entities(ada, 'Task', [task.id]);
  await change(ada, { id: task.id, title: 'New' });
  expect((await entities(ada, 'Task', [task.id]))[0].title).toBe('New');
});
