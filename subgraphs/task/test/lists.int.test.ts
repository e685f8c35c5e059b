import { beforeAll, describe, expect, test } from 'vitest';
import {
  anOrganization,
  aTask,
  aTaskService,
  type Caller,
  change,
  DELETE,
  type TestOrganization,
  type TestTaskService,
} from './fixture.ts';

let service: TestTaskService;
beforeAll(async () => {
  service = await aTaskService();
});

const LIST = `query ($filter: TaskFilter, $search: String, $orderBy: [TaskOrder!], $first: Int, $after: String, $last: Int, $before: String) {
  tasks(filter: $filter, search: $search, orderBy: $orderBy, first: $first, after: $after, last: $last, before: $before) {
    edges { cursor node { title } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }`;

async function page(caller: Caller, variables: object = {}) {
  const { tasks } = await caller.ask(LIST, variables);
  return {
    titles: tasks.edges.map((edge: { node: { title: string } }) => edge.node.title),
    ...tasks.pageInfo,
  };
}

const titles = async (caller: Caller, variables: object = {}): Promise<string[]> =>
  (await page(caller, variables)).titles;

async function refusalOf(caller: Caller, variables: object) {
  const { errors, data } = await caller.send(LIST, variables);
  expect(data?.tasks ?? null).toBeNull();
  return errors[0]?.extensions.code;
}

/** One after the other, so that their times differ or their ids do. */
async function tasksNamed(caller: Caller, names: readonly string[], input: object = {}) {
  for (const title of names) await aTask(caller, { title, ...input });
}

describe('pages', () => {
  let org: TestOrganization;
  let ada: Caller;
  const names = ['A', 'B', 'C', 'D', 'E', 'F', 'G'];
  beforeAll(async () => {
    org = anOrganization(service);
    ada = org.admin;
    await tasksNamed(ada, names);
  });

  test('go forwards, newest first', async () => {
    const first = await page(ada, { first: 3 });
    expect(first).toMatchObject({ titles: ['G', 'F', 'E'], hasNextPage: true, hasPreviousPage: false });
    const second = await page(ada, { first: 3, after: first.endCursor });
    expect(second).toMatchObject({ titles: ['D', 'C', 'B'], hasNextPage: true, hasPreviousPage: true });
    const third = await page(ada, { first: 3, after: second.endCursor });
    expect(third).toMatchObject({ titles: ['A'], hasNextPage: false, hasPreviousPage: true });
  });

  test('go backwards, each in reading order', async () => {
    const last = await page(ada, { last: 3 });
    expect(last).toMatchObject({ titles: ['C', 'B', 'A'], hasNextPage: false, hasPreviousPage: true });
    const before = await page(ada, { last: 3, before: last.startCursor });
    expect(before).toMatchObject({ titles: ['F', 'E', 'D'], hasNextPage: true, hasPreviousPage: true });
    expect(await titles(ada, { last: 3, before: before.startCursor })).toEqual(['G']);
  });

  test('neither repeat nor miss a task while others are made and deleted between them', async () => {
    const { admin } = anOrganization(service);
    await tasksNamed(admin, names);
    const first = await page(admin, { first: 3 });
    await tasksNamed(admin, ['H', 'I']);
    const [edge] = (
      await admin.ask(`{ tasks(filter: {}, first: 1, orderBy: [{ field: CREATED_AT }]) { nodes { id } } }`)
    ).tasks.nodes;
    await admin.ask(DELETE, { input: { id: edge.id } });
    const second = await page(admin, { first: 3, after: first.endCursor });
    expect(second.titles).toEqual(['D', 'C', 'B']);
    expect(await titles(admin, { first: 3, after: second.endCursor })).toEqual([]);
    expect(await titles(admin, { last: 10, before: first.startCursor })).toEqual(['I', 'H']);
  });

  test('stand in each order, tasks without a due date last both ways', async () => {
    const { admin } = anOrganization(service);
    const [soon, later] = ['2026-01-01T00:00:00Z', '2027-01-01T00:00:00Z'];
    await tasksNamed(admin, ['never 1']);
    await tasksNamed(admin, ['later'], { dueAt: later });
    await tasksNamed(admin, ['soon'], { dueAt: soon });
    await tasksNamed(admin, ['never 2']);
    const expected = {
      ASC: ['soon', 'later', 'never 1', 'never 2'],
      DESC: ['later', 'soon', 'never 2', 'never 1'],
    };
    for (const direction of ['ASC', 'DESC'] as const) {
      const orderBy = [{ field: 'DUE_AT', direction }];
      const read: string[] = [];
      for (let after: string | null = null; read.length < 4; ) {
        const next: Awaited<ReturnType<typeof page>> = await page(admin, { orderBy, first: 1, after });
        read.push(...next.titles);
        after = next.endCursor;
      }
      expect(read).toEqual(expected[direction]);
      expect(await titles(admin, { orderBy, last: 4 })).toEqual(expected[direction]);
    }
    const oldest = (await admin.ask(`{ tasks(orderBy: [{ field: CREATED_AT }]) { nodes { id } } }`)).tasks
      .nodes[0];
    await change(admin, { id: oldest.id, title: 'touched' });
    expect((await titles(admin, { orderBy: [{ field: 'UPDATED_AT', direction: 'DESC' }] }))[0]).toBe(
      'touched',
    );
  });

  test('are refused with a negative or huge size, or both directions at once', async () => {
    for (const variables of [
      { first: -1 },
      { first: 101 },
      { first: 2_147_483_647 },
      { last: -5 },
      { first: 1, last: 1 },
    ]) {
      expect(await refusalOf(ada, variables)).toBe('BAD_USER_INPUT');
    }
    expect(await titles(ada, { first: 0 })).toEqual([]);
    const two = [{ field: 'DUE_AT' }, { field: 'CREATED_AT' }];
    expect(await refusalOf(ada, { orderBy: two })).toBe('BAD_USER_INPUT');
  });

  test('are refused with a cursor that is tampered with, of another list, order, filter or organisation', async () => {
    const { endCursor: cursor } = await page(ada, { first: 2 });
    const mallory = anOrganization(service).admin;
    await tasksNamed(mallory, names);
    const foreign = await page(mallory, { first: 2 });
    const flipped = cursor.slice(0, -1) + (cursor.endsWith('A') ? 'B' : 'A');
    for (const variables of [
      { after: flipped },
      { after: 'x' },
      { after: '' },
      { after: foreign.endCursor },
      { after: cursor, filter: { status: { eq: 'TODO' } } },
      { after: cursor, search: 'x' },
      { after: cursor, orderBy: [{ field: 'DUE_AT' }] },
    ]) {
      expect(await refusalOf(ada, variables)).toBe('BAD_USER_INPUT');
    }
    expect(await titles(ada, { after: cursor, first: 1 })).toEqual(['E']);
  });

  test('are counted only when asked, under the same narrowing', async () => {
    service.takeStatements();
    await page(ada);
    expect(service.takeStatements()).toHaveLength(1);
    const { tasks } = await ada.ask(`{ tasks(first: 2, search: "a") { totalCount nodes { title } } }`);
    expect(tasks).toEqual({ totalCount: 1, nodes: [{ title: 'A' }] });
    expect(service.takeStatements()).toHaveLength(2);
  });
});

describe('a filter', () => {
  let org: TestOrganization;
  let ada: Caller;
  let grace: Caller;
  let projectId: string;
  beforeAll(async () => {
    org = anOrganization(service);
    ada = org.admin;
    grace = await org.joins();
    projectId = (await org.project()).id;
    const assigneeId = grace.viewer.userId;
    await aTask(ada, { title: 'A', status: 'DONE', priority: 'HIGH', tags: ['red', 'big'] });
    await aTask(ada, { title: 'B', projectId, assigneeId, dueAt: '2020-01-01T00:00:00Z', tags: ['red'] });
    await aTask(grace, { title: 'C', assigneeId, dueAt: '2090-01-01T00:00:00Z' });
  });
  const found = async (filter: object, caller = ada) => (await titles(caller, { filter })).sort().join('');

  test('narrows by status and priority', async () => {
    expect(await found({ status: { eq: 'DONE' } })).toBe('A');
    expect(await found({ status: { neq: 'DONE' } })).toBe('BC');
    expect(await found({ status: { in: ['DONE', 'TODO'] }, priority: { nin: ['HIGH'] } })).toBe('BC');
    expect(await found({ status: { in: [] } })).toBe('');
  });

  test('narrows by people and project', async () => {
    expect(await found({ assignee: { null: true } })).toBe('A');
    expect(await found({ assignee: { eq: grace.viewer.userId } })).toBe('BC');
    expect(await found({ assignee: { isViewer: true } }, grace)).toBe('BC');
    expect(await found({ creator: { isViewer: false } })).toBe('C');
    expect(await found({ project: { in: [projectId, 'no-id'] } })).toBe('B');
    expect(await found({ project: { neq: projectId } })).toBe('AC');
  });

  test('narrows by labels: some, every, none', async () => {
    expect(await found({ tags: { some: { eq: 'red' } } })).toBe('AB');
    expect(await found({ tags: { some: { in: ['big', 'none'] } } })).toBe('A');
    expect(await found({ tags: { some: { eq: 'red', in: ['big'] } } })).toBe('');
    expect(await found({ tags: { every: { eq: 'red' } } })).toBe('BC');
    expect(await found({ tags: { none: { in: ['big'] } } })).toBe('BC');
    expect(await found({ tags: { some: {} } })).toBe('AB');
  });

  test('narrows by times, absolute and relative', async () => {
    expect(await found({ dueAt: { lt: 'P0D' } })).toBe('B');
    expect(await found({ dueAt: { gt: '2030-01-01T00:00:00Z' } })).toBe('C');
    expect(await found({ dueAt: { null: true } })).toBe('A');
    expect(await found({ not: { dueAt: { lt: '2030-01-01T00:00:00Z' } } })).toBe('AC');
    expect(await found({ createdAt: { gte: '-PT1H' }, updatedAt: { lt: 'PT1H' } })).toBe('ABC');
    expect(await found({ createdAt: { gt: '-P9999Y' }, dueAt: { lt: 'P9999Y' } })).toBe('BC');
  });

  test('combines with and, or, not', async () => {
    const done = { status: { eq: 'DONE' } };
    const hers = { assignee: { eq: grace.viewer.userId } };
    expect(await found({ or: [done, { and: [hers, { project: { null: true } }] }] })).toBe('AC');
    expect(await found({ not: { or: [done, hers] } })).toBe('');
    expect(await found({ or: [] })).toBe('');
    expect(await found({ and: [] })).toBe('ABC');
  });

  test('that is too deep, too wide or holds U+0000 is refused', async () => {
    let deep: object = { status: { eq: 'DONE' } };
    for (let depth = 0; depth < 6; depth++) deep = { not: deep };
    expect(await refusalOf(ada, { filter: deep })).toBe('BAD_USER_INPUT');
    const wide = { or: Array.from({ length: 101 }, () => ({ status: { eq: 'DONE' } })) };
    expect(await refusalOf(ada, { filter: wide })).toBe('BAD_USER_INPUT');
    expect(await refusalOf(ada, { filter: { tags: { some: { eq: '\0' } } } })).toBe('BAD_USER_INPUT');
    const literal = await ada.send('{ tasks(filter: { dueAt: { lt: "tomorrow" } }) { totalCount } }', {});
    expect(literal.errors).toMatchObject([
      { message: expect.stringContaining('ISO 8601'), extensions: { code: 'BAD_USER_INPUT' } },
    ]);
  });
});

describe('search', () => {
  let ada: Caller;
  beforeAll(async () => {
    ada = anOrganization(service).admin;
    await aTask(ada, { title: 'Repair the steam-engine', description: 'Before winter' });
    await aTask(ada, { title: 'Buy coal or wood' });
  });
  const found = async (search: string) => (await titles(ada, { search })).map((title) => title[0]).join('');

  test('finds tasks whose title, description or key has every word', async () => {
    expect(await found('REPAIR winter')).toBe('R');
    expect(await found('repair coal')).toBe('');
    expect(await found('task-2')).toBe('B');
    expect(await found('  ')).toBe('BR');
  });

  test('takes every word as a word: no operators', async () => {
    expect(await found('coal or wood')).toBe('B');
    expect(await found('steam-engine')).toBe('R');
    expect(await found('repair -winter')).toBe('R');
    expect(await found('"coal')).toBe('B');
    expect(await found("' & | ! ( ) <-> %")).toBe('');
  });

  test('refuses what is reserved or too long', async () => {
    for (const search of [
      'status:DONE',
      '@grace',
      'coal #urgent',
      'x'.repeat(257),
      'a '.repeat(17),
      'nul\0',
    ]) {
      expect(await refusalOf(ada, { search })).toBe('BAD_USER_INPUT');
    }
    const { errors } = await ada.send(LIST, { search: 'status:DONE' });
    expect(errors[0]?.message).toMatch(/reserved/);
  });

  test('finds nothing of other organisations and nothing that the viewer may not see', async () => {
    const org = anOrganization(service);
    const grace = await org.joins();
    await aTask(org.admin, { title: 'Coal for all' });
    await aTask(org.admin, { title: 'Coal for Grace', assigneeId: grace.viewer.userId });
    expect(await titles(grace, { search: 'coal' })).toEqual(['Coal for Grace']);
    expect(await titles(anOrganization(service).admin, { search: 'coal' })).toEqual([]);
  });
});
