import { randomUUID } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  anOrganization,
  aTask,
  aTaskService,
  type Caller,
  CREATE,
  change,
  DELETE,
  TASK,
  type TestOrganization,
  type TestTaskService,
  UPDATE,
} from './fixture.ts';

let service: TestTaskService;
let acme: TestOrganization;
let ada: Caller;

beforeAll(async () => {
  service = await aTaskService();
  acme = anOrganization(service);
  ada = acme.admin;
});

const factsOf = (id: string) =>
  service.rows<{ type: string; version: number; fact: { id: string; before: object; after: object } }>(
    `select type, aggregate_version as version, envelope as fact from outbox where aggregate_id = $1 order by id`,
    [id],
  );

/** The one user error of an answer. */
async function refusal(caller: Caller, mutation: string, input: object) {
  const { data, text } = await caller.send(mutation, { input });
  const [payload] = Object.values(data) as { success: boolean; task: null; userErrors: object[] }[];
  expect(payload, text).toMatchObject({ success: false, task: null, syncId: null });
  return payload?.userErrors[0];
}

describe('taskCreate', () => {
  test('fills in what was not said, trims, and sorts labels', async () => {
    const task = await aTask(ada, { title: '  Ship it ', tags: ['b', ' a ', 'b'] });
    expect(task).toMatchObject({
      ...{ title: 'Ship it', description: null, status: 'TODO', priority: 'NONE', tags: ['a', 'b'] },
      ...{ assignee: null, project: null, creator: { id: ada.viewer.userId }, dueAt: null, version: 1 },
      ...{ viewerCanUpdate: true, viewerCanDelete: true, key: expect.stringMatching(/^TASK-\d+$/) },
    });
  });

  test('numbers the tasks of a project without gaps, also when many are made at once', async () => {
    const project = await acme.project();
    const tasks = await Promise.all(Array.from({ length: 20 }, () => aTask(ada, { projectId: project.id })));
    await refusal(ada, CREATE, { title: 'x', projectId: project.id, id: tasks[0].id });
    tasks.push(await aTask(ada, { projectId: project.id }));
    const keys = tasks.map(({ key }) => key).sort();
    expect(keys).toEqual(Array.from({ length: 21 }, (_, i) => `${project.key}-${i + 1}`).sort());
  });

  test('appends its facts in the same transaction: created, and assigned when there is somebody', async () => {
    const grace = await acme.joins();
    const task = await aTask(ada, { assigneeId: grace.viewer.userId, description: 'Long' });
    const facts = await factsOf(task.id);
    expect(facts.map(({ type, version }) => [type, version])).toEqual([
      ['task.created', 1],
      ['task.assigned', 1],
    ]);
    expect(task.syncId).toBe(`task.${facts[0]?.fact.id}`);
    expect(facts[0]?.fact).toMatchObject({
      before: null,
      after: {
        key: task.key,
        assigneeId: grace.viewer.userId,
        creatorId: ada.viewer.userId,
        description: 'Long',
      },
    });
  });

  test('accepts a UUIDv7 of the client, in either case of letters, and no other id', async () => {
    const id = uuidv7();
    expect((await aTask(ada, { id: id.toUpperCase() })).id).toBe(id);
    for (const wrong of [randomUUID(), 'x', '']) {
      expect(await refusal(ada, CREATE, { title: 'x', id: wrong })).toMatchObject({
        ...{ code: 'BAD_USER_INPUT', field: 'id' },
      });
    }
  });

  test('answers an id that is taken alike whoever has it, and is free to use that of another organisation', async () => {
    const grace = await acme.joins();
    const own = await aTask(grace);
    const invisible = await aTask(ada);
    const deleted = await aTask(ada);
    await ada.ask(DELETE, { input: { id: deleted.id } });
    const answers = await Promise.all(
      [own, invisible, deleted].map(({ id }) => grace.send(CREATE, { input: { title: 'x', id } })),
    );
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(answers[0]?.text).toContain('BAD_USER_INPUT');
    const mallory = anOrganization(service).admin;
    expect((await aTask(mallory, { id: own.id })).id).toBe(own.id);
    expect((await grace.ask(`query ($id: ID!) { task(id: $id) { title } }`, own)).task.title).toBe('A task');
  });

  test('is not for guests', async () => {
    const guest = await acme.joins('GUEST');
    expect(await refusal(guest, CREATE, { title: 'x' })).toMatchObject({ code: 'FORBIDDEN' });
  });

  test.each([
    ['an empty title', { title: ' ' }],
    ['a title of 501 characters', { title: 'x'.repeat(501) }],
    ['a title of two lines', { title: 'two\nlines' }],
    ['U+0000 in the title', { title: 'nul\0' }],
    ['half a character in the title', { title: 'half \ud83c' }],
    ['a description of 20,001 characters', { description: 'x'.repeat(20_001) }],
    ['U+0000 in the description', { description: 'nul\0' }],
    ['an empty label', { tags: [''] }],
    ['a label of 65 characters', { tags: ['x'.repeat(65)] }],
    ['51 labels', { tags: Array.from({ length: 51 }, (_, i) => `t${i}`) }],
    ['a time before all others', { dueAt: '0000-01-01T00:00:00Z' }],
  ])('refuses %s, naming the field', async (_what, input) => {
    const [field] = Object.keys(input);
    const refused = await refusal(ada, CREATE, { title: 'x', ...input });
    expect(refused).toMatchObject({ code: 'BAD_USER_INPUT', field });
  });

  test('counts characters as people do: 500 emoji are a title', async () => {
    expect((await aTask(ada, { title: '🎉'.repeat(500) })).title).toHaveLength(1000);
  });
});

describe('a reference', () => {
  test('made a moment before is accepted: 100 of 100', async () => {
    const race = async (index: number) => {
      const [projectId, assigneeId] = [randomUUID(), randomUUID()];
      // Nobody waits for the facts to arrive before the task is made.
      const arrival = service.deliver(
        acme.fact('project.created', projectId, null, {
          ...{ id: projectId, key: `RACE${index}`, name: 'x', teamIds: [] },
        }),
        acme.fact('member.joined', assigneeId, null, {
          ...{ id: assigneeId, name: 'Grace', email: 'g@acme.test', role: 'MEMBER', status: 'ACTIVE' },
        }),
      );
      const task = await aTask(ada, { projectId, assigneeId });
      await arrival;
      return { key: task.key, isHers: task.assignee.id === assigneeId };
    };
    for (let index = 0; index < 100; index += 5) {
      const raced = await Promise.all([0, 1, 2, 3, 4].map((lane) => race(index + lane)));
      expect(raced).toEqual([0, 1, 2, 3, 4].map((lane) => ({ key: `RACE${index + lane}-1`, isHers: true })));
    }
  });

  test('that is absent, foreign, malformed, suspended or removed is refused alike, in taskCreate and in taskUpdate', async () => {
    const other = anOrganization(service);
    const [foreignProject, foreigner, suspended, removed] = [
      await other.project(),
      await other.joins(),
      await acme.joins(),
      await acme.joins(),
    ];
    await acme.changes(suspended.viewer, 'MEMBER', 'SUSPENDED');
    await acme.changes(removed.viewer, 'MEMBER', 'REMOVED');
    const task = await aTask(ada);
    const gone = [suspended.viewer.userId, removed.viewer.userId];
    const people = [randomUUID(), foreigner.viewer.userId, ...gone, 'x'];
    const projects = [randomUUID(), foreignProject.id, 'x'];
    const inputs = [
      ...people.map((assigneeId) => ({ assigneeId })),
      ...projects.map((projectId) => ({ projectId })),
    ];
    for (const [mutation, base] of [
      [CREATE, { title: 'x' }],
      [UPDATE, { id: task.id }],
    ] as const) {
      const answers = await Promise.all(
        inputs.map((input) => ada.send(mutation, { input: { ...base, ...input } })),
      );
      expect(new Set(answers.slice(0, 5).map(({ text }) => text)).size).toBe(1);
      expect(new Set(answers.slice(5).map(({ text }) => text)).size).toBe(1);
      expect(answers[0]?.text).toContain(
        '"code":"NOT_FOUND","message":"The person was not found.","field":"assigneeId"',
      );
      expect(answers[5]?.text).toContain(
        '"code":"NOT_FOUND","message":"The project was not found.","field":"projectId"',
      );
    }
    expect(await factsOf(task.id)).toHaveLength(1);
  });

  test('that the task has already does not have to be good any more', async () => {
    const grace = await acme.joins();
    const assigneeId = grace.viewer.userId;
    const task = await aTask(ada, { assigneeId });
    await acme.changes(grace.viewer, 'MEMBER', 'SUSPENDED');
    expect(await change(ada, { id: task.id, assigneeId, title: 'New' })).toMatchObject({
      ...{ title: 'New', assignee: { id: assigneeId } },
    });
  });
});

describe('taskUpdate', () => {
  test('keeps what is absent and clears what is null', async () => {
    const project = await acme.project();
    const grace = await acme.joins();
    const task = await aTask(ada, {
      ...{ description: 'd', projectId: project.id, assigneeId: grace.viewer.userId },
      ...{ priority: 'HIGH', dueAt: '2026-12-24T18:00:00+01:00', tags: ['a'] },
    });
    expect(await change(ada, { id: task.id, title: 'New' })).toMatchObject({
      ...{ title: 'New', description: 'd', priority: 'HIGH', dueAt: '2026-12-24T17:00:00.000Z' },
      ...{ project: { id: project.id }, assignee: { id: grace.viewer.userId }, tags: ['a'], version: 2 },
    });
    const cleared = { description: null, projectId: null, assigneeId: null, priority: null, dueAt: null };
    expect(await change(ada, { id: task.id, ...cleared })).toMatchObject({
      ...{ title: 'New', description: null, priority: 'NONE', dueAt: null, project: null, assignee: null },
      ...{ key: task.key, version: 3 },
    });
    for (const field of ['title', 'status']) {
      expect(await refusal(ada, UPDATE, { id: task.id, [field]: null })).toMatchObject({
        ...{ code: 'BAD_USER_INPUT', field },
      });
    }
  });

  test('changes labels by what is added and removed', async () => {
    const { id } = await aTask(ada, { tags: ['a', 'b'] });
    expect((await change(ada, { id, addTags: ['c', 'a'], removeTags: ['b', 'x'] })).tags).toEqual(['a', 'c']);
    expect(await refusal(ada, UPDATE, { id, addTags: ['q'], removeTags: ['q'] })).toMatchObject({
      ...{ code: 'BAD_USER_INPUT', field: 'removeTags' },
    });
    const many = Array.from({ length: 49 }, (_, i) => `t${i}`);
    expect(await refusal(ada, UPDATE, { id, addTags: many })).toMatchObject({ field: 'addTags' });
  });

  test('that changes nothing writes nothing', async () => {
    const task = await aTask(ada, { tags: ['a'] });
    const input = { id: task.id, title: 'A task', addTags: ['a'], status: 'TODO' };
    const { taskUpdate } = await ada.ask(UPDATE, { input });
    expect(taskUpdate).toMatchObject({ success: true, syncId: null, task: { version: 1 } });
    expect(await factsOf(task.id)).toHaveLength(1);
  });

  test('tells of a new assignee and a new status beside the change, all with one version', async () => {
    const [grace, linus] = [await acme.joins(), await acme.joins()];
    const { id } = await aTask(ada, { assigneeId: grace.viewer.userId });
    await change(ada, { id, assigneeId: linus.viewer.userId, status: 'DONE' });
    await change(ada, { id, title: 'New' });
    await change(ada, { id, assigneeId: null });
    const facts = await factsOf(id);
    expect(facts.slice(2).map(({ type, version }) => [type, version])).toEqual([
      ['task.updated', 2],
      ['task.assigned', 2],
      ['task.status-changed', 2],
      ['task.updated', 3],
      ['task.updated', 4],
    ]);
    expect(facts[4]?.fact).toMatchObject({
      before: { status: 'TODO', assigneeId: grace.viewer.userId },
      after: { status: 'DONE', assigneeId: linus.viewer.userId },
    });
  });

  test('based on an older version is a conflict that shows the task and what has changed', async () => {
    const task = await aTask(ada);
    await change(ada, { id: task.id, title: 'Hers', assigneeId: (await acme.joins()).viewer.userId });
    expect(await refusal(ada, UPDATE, { id: task.id, expectedVersion: 1, title: 'His' })).toEqual({
      ...{ __typename: 'ConflictError', code: 'CONFLICT', field: 'expectedVersion', retryAfterMs: null },
      message: expect.any(String),
      changedFields: expect.arrayContaining(['title', 'assignee']),
      current: { id: task.id, version: 2, title: 'Hers' },
    });
    expect(await change(ada, { id: task.id, expectedVersion: 2, title: 'His' })).toMatchObject({
      version: 3,
    });
  });

  test('by ten at once on one version lets exactly one through', async () => {
    const task = await aTask(ada);
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        ada.ask(UPDATE, { input: { id: task.id, expectedVersion: 1, title: `T${i}` } }),
      ),
    );
    expect(answers.filter(({ taskUpdate }) => taskUpdate.success)).toHaveLength(1);
    expect((await factsOf(task.id)).map(({ version }) => version)).toEqual([1, 2]);
  });
});

describe('an idempotency key', () => {
  const count = async () => (await service.rows('select from tasks where org_id = $1', [acme.orgId])).length;

  test('runs a creation once, also when it is sent five times at once', async () => {
    const claims = { idempotencyKey: randomUUID() };
    const before = await count();
    const answers = await Promise.all(
      Array.from({ length: 5 }, (_, i) =>
        ada.send(CREATE, { input: { title: 'Once', clientMutationId: `try ${i}` } }, claims),
      ),
    );
    expect(new Set(answers.map(({ data }) => data.taskCreate.task.id)).size).toBe(1);
    expect(new Set(answers.map(({ data }) => data.taskCreate.syncId)).size).toBe(1);
    expect(await count()).toBe(before + 1);
  });

  test('replays an update and a deletion', async () => {
    const task = await aTask(ada);
    for (const mutation of [UPDATE, DELETE]) {
      const claims = { idempotencyKey: randomUUID() };
      const input = { id: task.id, ...(mutation === UPDATE ? { title: 'New' } : {}) };
      const first = await ada.send(mutation, { input }, claims);
      expect((await ada.send(mutation, { input }, claims)).text).toBe(first.text);
    }
    expect((await factsOf(task.id)).map(({ version }) => version)).toEqual([1, 2, 3]);
  });

  test('on another request is refused, and is nobody else’s', async () => {
    const claims = { idempotencyKey: randomUUID() };
    await ada.ask(CREATE, { input: { title: 'One' } }, claims);
    const reused = await ada.send(CREATE, { input: { title: 'Two' } }, claims);
    expect(reused.errors[0]?.extensions.code).toBe('IDEMPOTENCY_KEY_REUSED');
    const grace = await acme.joins();
    const hers = await grace.ask(CREATE, { input: { title: 'Two' } }, claims);
    expect(hers.taskCreate).toMatchObject({ success: true, task: { title: 'Two' } });
  });

  test('that was refused may be tried again', async () => {
    const claims = { idempotencyKey: randomUUID() };
    const projectId = randomUUID();
    const input = { title: 'x', projectId };
    expect((await ada.ask(CREATE, { input }, claims)).taskCreate.success).toBe(false);
    const image = { id: projectId, key: 'AGAIN', name: 'x', teamIds: [] };
    await service.deliver(acme.fact('project.created', projectId, null, image));
    expect((await ada.ask(CREATE, { input }, claims)).taskCreate.task.key).toBe('AGAIN-1');
  });
});

describe('taskDelete', () => {
  test('takes the task out of lists, search and counts, and keeps the row', async () => {
    const grace = await acme.joins();
    const id = grace.viewer.userId;
    const task = await aTask(ada, { title: 'Quixotic', assigneeId: id });
    const look = async () =>
      ada.ask(
        `query ($task: ID!, $id: ID!, $refs: [_Any!]!) { task(id: $task) { id }
          found: tasks(search: "quixotic") { totalCount nodes { id } }
          mine: tasks(filter: { assignee: { eq: $id } }) { nodes { id } }
          _entities(representations: $refs) { ... on User { openTaskCount } } }`,
        { task: task.id, id, refs: [{ __typename: 'User', id }] },
      );
    expect(await look()).toEqual({
      task: { id: task.id },
      found: { totalCount: 1, nodes: [{ id: task.id }] },
      mine: { nodes: [{ id: task.id }] },
      _entities: [{ openTaskCount: 1 }],
    });
    const { taskDelete } = await ada.ask(DELETE, { input: { id: task.id, expectedVersion: 1 } });
    expect(taskDelete.task).toMatchObject({
      id: task.id,
      version: 2,
      viewerCanUpdate: false,
      viewerCanDelete: false,
    });
    expect(await look()).toEqual({
      ...{ task: null, found: { totalCount: 0, nodes: [] }, mine: { nodes: [] } },
      _entities: [{ openTaskCount: 0 }],
    });
    expect(
      await service.rows('select from tasks where id = $1 and deleted_at is not null', [task.id]),
    ).toHaveLength(1);
    expect((await factsOf(task.id)).at(-1)).toMatchObject({ type: 'task.deleted', version: 2 });
    expect(await refusal(ada, DELETE, { id: task.id })).toMatchObject({ code: 'NOT_FOUND', field: 'id' });
  });
});

describe('who may', () => {
  test('a task that is absent, foreign, invisible, deleted or malformed answers with the same bytes', async () => {
    const mallory = anOrganization(service).admin;
    const grace = await acme.joins();
    const deleted = await aTask(grace);
    await grace.ask(DELETE, { input: { id: deleted.id } });
    const ids = [uuidv7(), (await aTask(mallory)).id, (await aTask(ada)).id, deleted.id, 'x'];
    const questions: [string, (id: string) => object][] = [
      [`query ($id: ID!) { task(id: $id) { ${TASK} } }`, (id) => ({ id })],
      [UPDATE, (id) => ({ input: { id, title: 'Mine', expectedVersion: 7 } })],
      [DELETE, (id) => ({ input: { id } })],
      [
        `query ($id: ID!) { tasks(filter: { project: { eq: $id } }) { totalCount nodes { id } } }`,
        (id) => ({ id }),
      ],
    ];
    for (const [query, variablesOf] of questions) {
      const answers = await Promise.all(ids.map((id) => grace.send(query, variablesOf(id))));
      expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size, query).toBe(1);
    }
  });

  test('a shared task is seen but not changed: FORBIDDEN, and viewerCan… say so before', async () => {
    const org = anOrganization(service);
    const team = await org.team();
    const project = await org.project(team);
    const [grace, boss, guest] = [await org.joins(), await org.joins('MANAGER'), await org.joins('GUEST')];
    await org.joinsTeam(grace, team);
    await org.joinsTeam(boss, team, 'MANAGER');
    await org.chooses('PROJECT');
    const task = await aTask(org.admin, { projectId: project.id, assigneeId: guest.viewer.userId });
    const abilities = async (caller: Caller) =>
      (await caller.ask(`query ($id: ID!) { task(id: $id) { viewerCanUpdate viewerCanDelete } }`, task)).task;
    expect(await abilities(grace)).toEqual({ viewerCanUpdate: false, viewerCanDelete: false });
    expect(await abilities(guest)).toEqual({ viewerCanUpdate: true, viewerCanDelete: false });
    expect(await abilities(boss)).toEqual({ viewerCanUpdate: true, viewerCanDelete: true });
    for (const [caller, mutation] of [
      [grace, UPDATE],
      [grace, DELETE],
      [guest, DELETE],
    ] as const) {
      const input = { id: task.id, ...(mutation === UPDATE ? { title: 'Mine' } : {}) };
      expect(await refusal(caller, mutation, input)).toMatchObject({ code: 'FORBIDDEN' });
    }
    await change(guest, { id: task.id, status: 'IN_REVIEW' });
    expect(await refusal(guest, UPDATE, { id: task.id, assigneeId: grace.viewer.userId })).toMatchObject({
      ...{ code: 'NOT_FOUND', field: 'assigneeId' },
    });
    expect(await refusal(guest, UPDATE, { id: task.id, projectId: (await org.project()).id })).toMatchObject({
      ...{ code: 'NOT_FOUND', field: 'projectId' },
    });
    await change(boss, { id: task.id, title: 'Bossed' });
  });

  test('nobody is answered without a valid context', async () => {
    const body = JSON.stringify({ query: '{ tasks { nodes { id } } }' });
    const headers = { 'content-type': 'application/json', 'taskflow-context': 'v1.dev.forged.forged' };
    const forged = await fetch(service.url, { method: 'POST', headers, body });
    expect(forged.status).toBe(401);
  });
});
