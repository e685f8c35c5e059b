/**
 * Requests that cannot be granted, over the whole house: each gets its documented code, and no table of any subgraph
 * changes. The limits that hold before planning are tried one by one in the router's own tests.
 */
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Behind, lookBehind } from '../../kit/behind.ts';
import { anOrg, aProject, aTask, aTeam, changeTask, type Named, type TestPerson } from '../../kit/seed.ts';
import { aSupergraph, type TestSupergraph } from '../../kit/supergraph.ts';

let supergraph: TestSupergraph;
let behind: Behind;
let ada: TestPerson;
let mallory: TestPerson;
let task: Named;
let project: Named & { key: string };
let parent: Named;
let child: Named;
let before: Record<string, string>;

beforeAll(async () => {
  supergraph = await aSupergraph();
  behind = lookBehind(supergraph);
  ada = await anOrg(supergraph.client, 'Ada');
  mallory = await anOrg(supergraph.client, 'Mallory');
  parent = await aTeam(ada);
  child = await aTeam(ada, { parentTeamId: parent.id });
  project = await aProject(ada, { teamIds: [child.id] });
  task = await aTask(ada, { projectId: project.id });
  await Promise.all([ada, ada, mallory, mallory].map((person) => aTask(person)));
  await behind.settled();
});

beforeEach(async () => {
  before = await behind.fingerprints();
});
afterEach(async () => {
  expect(await behind.fingerprints()).toEqual(before);
});

const ID = '01900000-0000-7000-8000-000000000000';
const codesOf = ({ errors }: { errors: { extensions: { code: string } }[] }) =>
  errors.map((error) => error.extensions.code);

describe('a request that is malformed', () => {
  it.each([
    ['is cut short', '{"query": "mutation { taskCreate('],
    ['is no JSON', 'query { viewer { id } }'],
    ['has no query', '{"variables": {}}'],
  ])('because it %s is BAD_REQUEST with 400', async (_what, body) => {
    const response = await fetch(supergraph.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${ada.accessToken}` },
      body,
    });
    const { errors } = (await response.json()) as { errors: { extensions: { code: string } }[] };
    expect([response.status, codesOf({ errors })]).toEqual([400, ['BAD_REQUEST']]);
  });

  const CREATE = 'mutation M($input: TaskCreateInput!) { taskCreate(input: $input) { success } }';
  it.each<[string, string, string, object?]>([
    ['cannot be parsed', 'GRAPHQL_PARSE_FAILED', 'mutation { taskCreate(input: { title: "x" }) { success }'],
    [
      'asks for an unknown field',
      'GRAPHQL_VALIDATION_FAILED',
      'mutation { taskCreate(input: { title: "x" }) { success nothing } }',
    ],
    [
      'writes a wrong enum value',
      'GRAPHQL_VALIDATION_FAILED',
      'mutation { taskCreate(input: { title: "x", status: LATER }) { success } }',
    ],
    [
      'writes an unknown input field',
      'GRAPHQL_VALIDATION_FAILED',
      'mutation { taskCreate(input: { title: "x", orgId: "y" }) { success } }',
    ],
    [
      'has a wrong enum value in a variable',
      'BAD_USER_INPUT',
      CREATE,
      { input: { title: 'x', status: 'LATER' } },
    ],
    [
      'has an unknown input field in a variable',
      'BAD_USER_INPUT',
      CREATE,
      { input: { title: 'x', orgId: ID } },
    ],
    ['leaves a variable out', 'BAD_USER_INPUT', CREATE],
  ])('because it %s is %s with 400', async (_what, code, query, variables) => {
    const answer = await ada.client.send(query, variables);
    expect([answer.status, codesOf(answer), answer.data]).toEqual([400, [code], null]);
  });
});

describe('a page', () => {
  const LISTS = ['tasks', 'projects', 'teams', 'users', 'notifications'];

  it.each(LISTS)(
    'of %s of a negative or too large size is BAD_USER_INPUT, of a huge one too expensive',
    async (list) => {
      for (const first of [-2_147_483_648, -1, 101, 2_147_483_647]) {
        const answer = await ada.client.send(
          `query L($first: Int) { ${list}(first: $first) { nodes { id } } }`,
          {
            first,
          },
        );
        const code = first > 5_000 ? 'COST_LIMIT_EXCEEDED' : 'BAD_USER_INPUT';
        expect([first, codesOf(answer), answer.data]).toEqual([first, [code], null]);
      }
    },
  );

  it.each(LISTS)('of %s behind a cursor that was made up is BAD_USER_INPUT', async (list) => {
    for (const after of ['', 'x', Buffer.from('{"id":1}').toString('base64'), '.', 'a.b.c']) {
      const answer = await ada.client.send(
        `query L($after: String) { ${list}(after: $after) { nodes { id } } }`,
        { after },
      );
      expect([after, codesOf(answer)]).toEqual([after, ['BAD_USER_INPUT']]);
    }
  });

  const TASKS = `query L($after: String, $filter: TaskFilter) { tasks(first: 1, after: $after, filter: $filter) {
    nodes { id } pageInfo { endCursor hasNextPage } } }`;
  const cursorOf = async (person: TestPerson): Promise<string> => {
    const { tasks } = await person.client.ask<{ tasks: { pageInfo: { endCursor: string } } }>(TASKS);
    return tasks.pageInfo.endCursor;
  };

  it('behind a cursor with one character changed, wherever it is, is BAD_USER_INPUT', async () => {
    const cursor = await cursorOf(ada);
    expect((await ada.client.send(TASKS, { after: cursor })).errors).toEqual([]);
    for (let at = 0; at < cursor.length; at += Math.ceil(cursor.length / 12)) {
      const after = `${cursor.slice(0, at)}${cursor[at] === 'A' ? 'B' : 'A'}${cursor.slice(at + 1)}`;
      expect([after, codesOf(await ada.client.send(TASKS, { after }))]).toEqual([after, ['BAD_USER_INPUT']]);
    }
  });

  it('behind the cursor of another tenant, another list or another filter is BAD_USER_INPUT', async () => {
    const [own, foreign] = [await cursorOf(ada), await cursorOf(mallory)];
    const refused = [
      await ada.client.send(TASKS, { after: foreign }),
      await ada.client.send(TASKS, { after: own, filter: { status: { eq: 'DONE' } } }),
      await ada.client.send('query L($after: String) { projects(after: $after) { nodes { id } } }', {
        after: own,
      }),
    ];
    expect(refused.map(codesOf)).toEqual([['BAD_USER_INPUT'], ['BAD_USER_INPUT'], ['BAD_USER_INPUT']]);
  });
});

/** What a refused mutation answers, with what a conflict tells beside. */
const REFUSAL = `success userErrors { __typename code field ... on ConflictError { changedFields current {
  __typename ... on Task { version title } ... on Team { version } ... on Project { version } ... on Organization { version } } } }`;

async function refusalOf(field: string, type: string, input: object) {
  const query = `mutation M($input: ${type}!) { ${field}(input: $input) { ${REFUSAL} } }`;
  const answer = await ada.client.send<Record<string, { success: boolean; userErrors: object[] }>>(query, {
    input,
  });
  expect([answer.status, answer.errors]).toEqual([200, []]);
  const payload = answer.data?.[field];
  expect(payload?.success).toBe(false);
  return payload?.userErrors;
}

describe('a change', () => {
  it('that is based on a version other than the present one is a ConflictError that shows the present', async () => {
    const changed = await changeTask(ada, { id: task.id, title: 'Somebody was faster' });
    await behind.settled();
    before = await behind.fingerprints();
    const input = { id: task.id, expectedVersion: task.version };
    const conflict = { __typename: 'ConflictError', code: 'CONFLICT' };
    const current = { __typename: 'Task', version: changed.version, title: 'Somebody was faster' };
    for (const [field, type, more] of [
      ['taskUpdate', 'TaskUpdateInput', { title: 'Mine' }],
      ['taskDelete', 'TaskDeleteInput', {}],
    ] as const) {
      const [error] = (await refusalOf(field, type, { ...input, ...more })) ?? [];
      expect(error, field).toMatchObject({ ...conflict, changedFields: ['title'], current });
    }
  });

  it('of a project, a team or the organisation that is based on another version is a ConflictError', async () => {
    const stale = { expectedVersion: 77, name: 'Mine' };
    const answers = [
      await refusalOf('projectUpdate', 'ProjectUpdateInput', { id: project.id, ...stale }),
      await refusalOf('teamUpdate', 'TeamUpdateInput', { id: child.id, ...stale }),
      await refusalOf('organizationUpdate', 'OrganizationUpdateInput', stale),
    ];
    const conflictOf = (__typename: string) => [
      { __typename: 'ConflictError', code: 'CONFLICT', current: { __typename, version: 1 } },
    ];
    expect(answers).toMatchObject(['Project', 'Team', 'Organization'].map(conflictOf));
  });

  it('that would put a team under itself or under its own child is refused', async () => {
    for (const parentTeamId of [parent.id, child.id]) {
      const input = { id: parent.id, parentTeamId };
      const errors = await refusalOf('teamUpdate', 'TeamUpdateInput', input);
      expect(errors, parentTeamId).toMatchObject([{ code: 'BAD_USER_INPUT', field: 'parentTeamId' }]);
    }
  });

  it.each<[string, string, string, () => object, string]>([
    ['an empty title', 'taskCreate', 'TaskCreateInput', () => ({ title: ' ' }), 'BAD_USER_INPUT'],
    [
      'a title of 501 characters',
      'taskCreate',
      'TaskCreateInput',
      () => ({ title: 'x'.repeat(501) }),
      'BAD_USER_INPUT',
    ],
    [
      'an id that is taken',
      'taskCreate',
      'TaskCreateInput',
      () => ({ id: task.id, title: 'x' }),
      'BAD_USER_INPUT',
    ],
    [
      'an id that is none',
      'taskUpdate',
      'TaskUpdateInput',
      () => ({ id: "x' or true --", title: 'x' }),
      'NOT_FOUND',
    ],
    [
      'a key that is taken',
      'projectCreate',
      'ProjectCreateInput',
      () => ({ name: 'x', key: project.key }),
      'CONFLICT',
    ],
    [
      'a reserved key',
      'projectCreate',
      'ProjectCreateInput',
      () => ({ name: 'x', key: 'TASK' }),
      'BAD_USER_INPUT',
    ],
    [
      'a team that does not exist',
      'projectCreate',
      'ProjectCreateInput',
      () => ({ name: 'x', key: 'NEW', teamIds: [ID] }),
      'NOT_FOUND',
    ],
  ])('with %s is refused by %s', async (_what, field, type, input, code) => {
    expect(await refusalOf(field, type, input())).toMatchObject([{ code }]);
  });
});
