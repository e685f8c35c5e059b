import { randomUUID } from 'node:crypto';
import type { Viewer } from '@taskflow/kit/identity';
import { makeFact } from '@taskflow/schema/events';
import { bytesOf } from '@taskflow/tests/kit/client';
import { aSubgraph, aViewer, type TestSubgraph } from '@taskflow/tests/kit/subgraph';
import { until } from '@taskflow/tests/kit/until';
import { beforeAll, describe, expect, it } from 'vitest';
import { readOrgConfig } from '../src/config.ts';
import { createService } from '../src/service.ts';

const ABSENT = '01900000-0000-7000-8000-000000000000';
const ERRORS =
  'success userErrors { code message field ... on ConflictError { changedFields current { __typename ... on Team { name version } } } }';

let org: TestSubgraph;
let admin: Viewer;
let stranger: Viewer;

const system = { userId: null };
const founded = (orgId: string, name: string) =>
  makeFact({
    ...{ type: 'organization.founded', orgId, aggregate: { id: orgId, version: 1 }, actor: system },
    ...{ requestId: 'test', before: null, after: { name, founderId: randomUUID() } },
  });
const joined = (viewer: Viewer, status = 'ACTIVE') =>
  makeFact({
    ...{
      type: 'member.joined',
      orgId: viewer.orgId,
      aggregate: { id: viewer.userId, version: 1 },
      actor: system,
    },
    ...{ requestId: 'test', before: null },
    after: { id: viewer.userId, name: 'Grace', email: 'grace@acme.test', role: viewer.role, status },
  });

async function aFoundedOrg(name: string): Promise<Viewer> {
  const viewer = aViewer('ORG_ADMIN');
  const facts = [founded(viewer.orgId, name), joined(viewer)];
  await org.deliver(...facts);
  await org.settled(...facts);
  return viewer;
}

async function aTeam(by: Viewer, input: object = {}): Promise<{ id: string; version: number }> {
  const { teamCreate } = await org.ask(
    by,
    `mutation ($input: TeamCreateInput!) { teamCreate(input: $input) { ${ERRORS} team { id version } } }`,
    { input: { name: 'Team', ...input } },
  );
  return teamCreate.team;
}

async function aProject(by: Viewer, input: object): Promise<{ id: string }> {
  const { projectCreate } = await org.ask(
    by,
    `mutation ($input: ProjectCreateInput!) { projectCreate(input: $input) { ${ERRORS} project { id } } }`,
    { input: { name: 'Project', ...input } },
  );
  return projectCreate.project;
}

async function aColleague(of: Viewer, role: Viewer['role'] = 'MEMBER'): Promise<Viewer> {
  const colleague = aViewer(role, of.orgId);
  const fact = joined(colleague);
  await org.deliver(fact);
  await org.settled(fact);
  return colleague;
}

const ADD = `mutation ($input: TeamMemberAddInput!) { teamMemberAdd(input: $input) { ${ERRORS} teamMember { id role joinedAt leftAt team { id } } } }`;
const REMOVE = `mutation ($input: TeamMemberRemoveInput!) { teamMemberRemove(input: $input) { ${ERRORS} teamMember { id leftAt } } }`;
const TEAM_UPDATE = `mutation ($input: TeamUpdateInput!) { teamUpdate(input: $input) { ${ERRORS} syncId team { id name version parent { id } } } }`;

beforeAll(async () => {
  org = await aSubgraph('org', (env, deps) => createService(readOrgConfig(env), deps));
  admin = await aFoundedOrg('Acme & Söhne');
  stranger = await aFoundedOrg('Globex');
});

describe('the organisation', () => {
  it('waits for its founding, so that the founder never reads an error', async () => {
    const founder = aViewer('ORG_ADMIN');
    const answer = org.ask(
      founder,
      '{ organization { name slug viewerCanUpdate settings { taskVisibility } } }',
    );
    await org.deliver(founded(founder.orgId, 'Late Ltd'));
    expect((await answer).organization).toEqual({
      ...{ name: 'Late Ltd', slug: `late-ltd-${founder.orgId.slice(-6)}`, viewerCanUpdate: true },
      settings: { taskVisibility: 'ASSIGNED' },
    });
  });

  it('answers SUBGRAPH_UNAVAILABLE, retryable, when its founding does not arrive', async () => {
    const { errors } = await org.send(aViewer('ORG_ADMIN'), '{ organization { name } }');
    expect(errors[0]?.extensions).toMatchObject({ code: 'SUBGRAPH_UNAVAILABLE', retryable: true });
  });

  it('is changed by an ORG_ADMIN only, field by field', async () => {
    const update = `mutation ($input: OrganizationUpdateInput!) { organizationUpdate(input: $input) { ${ERRORS} organization { name version settings { taskVisibility } } } }`;
    const member = aViewer('MEMBER', admin.orgId);
    const refused = await org.ask(member, update, { input: { name: 'Mine' } });
    expect(refused.organizationUpdate.userErrors[0].code).toBe('FORBIDDEN');
    const changed = await org.ask(admin, update, { input: { settings: { taskVisibility: 'PROJECT' } } });
    expect(changed.organizationUpdate.organization).toEqual({
      ...{ name: 'Acme & Söhne', version: 2, settings: { taskVisibility: 'PROJECT' } },
    });
    const cleared = await org.ask(admin, update, {
      input: { settings: { taskVisibility: null }, expectedVersion: 2 },
    });
    expect(cleared.organizationUpdate.organization.settings.taskVisibility).toBe('ASSIGNED');
    const nameless = await org.ask(admin, update, { input: { name: null } });
    expect(nameless.organizationUpdate.userErrors[0]).toMatchObject({
      code: 'BAD_USER_INPUT',
      field: 'name',
    });
  });
});

describe('names', () => {
  it('are refused when they are empty, too long, or cannot be kept', async () => {
    for (const name of ['', '   ', 'x'.repeat(201), 'a\u0000b', 'a\nb', 'half \ud800']) {
      const { teamCreate } = await org.ask(
        admin,
        `mutation ($name: String!) { teamCreate(input: { name: $name }) { ${ERRORS} } }`,
        { name },
      );
      expect(teamCreate.userErrors, JSON.stringify(name)).toMatchObject([
        { code: 'BAD_USER_INPUT', field: 'name' },
      ]);
    }
  });
});

describe('the tree of teams', () => {
  it('lists every team, parents first, in one statement', async () => {
    const viewer = await aFoundedOrg('Tree');
    const root = await aTeam(viewer, { name: 'root' });
    const child = await aTeam(viewer, { name: 'child', parentTeamId: root.id });
    await aTeam(viewer, { name: 'grandchild', parentTeamId: child.id });
    await aTeam(viewer, { name: 'second root' });
    org.statements.length = 0;
    const { teamTree } = await org.ask(viewer, '{ teamTree { name } }');
    expect(org.statements).toHaveLength(1);
    expect(teamTree.map(({ name }: { name: string }) => name)).toEqual([
      'root',
      'second root',
      'child',
      'grandchild',
    ]);
  });

  it('refuses a circle, and two moves at once cannot make one together', async () => {
    const a = await aTeam(admin, { name: 'a' });
    const b = await aTeam(admin, { name: 'b', parentTeamId: a.id });
    const c = await aTeam(admin, { name: 'c', parentTeamId: b.id });
    for (const parentTeamId of [a.id, b.id, c.id]) {
      const { teamUpdate } = await org.ask(admin, TEAM_UPDATE, { input: { id: a.id, parentTeamId } });
      expect(teamUpdate.userErrors[0]).toMatchObject({ code: 'BAD_USER_INPUT', field: 'parentTeamId' });
    }
    const x = await aTeam(admin, { name: 'x' });
    const y = await aTeam(admin, { name: 'y' });
    const both = await Promise.all([
      org.ask(admin, TEAM_UPDATE, { input: { id: x.id, parentTeamId: y.id } }),
      org.ask(admin, TEAM_UPDATE, { input: { id: y.id, parentTeamId: x.id } }),
    ]);
    expect(both.filter(({ teamUpdate }) => teamUpdate.success)).toHaveLength(1);
  });

  it('moves to the top with null, keeps what is absent, and counts versions', async () => {
    const parent = await aTeam(admin, { name: 'parent' });
    const team = await aTeam(admin, { name: 'moving', parentTeamId: parent.id });
    const renamed = await org.ask(admin, TEAM_UPDATE, { input: { id: team.id, name: ' renamed ' } });
    expect(renamed.teamUpdate.team).toMatchObject({ name: 'renamed', version: 2, parent: { id: parent.id } });
    const moved = await org.ask(admin, TEAM_UPDATE, { input: { id: team.id, parentTeamId: null } });
    expect(moved.teamUpdate.team).toMatchObject({ name: 'renamed', version: 3, parent: null });
    const same = await org.ask(admin, TEAM_UPDATE, { input: { id: team.id, name: 'renamed' } });
    expect(same.teamUpdate).toMatchObject({ success: true, syncId: null, team: { version: 3 } });
  });

  it('answers a stale version with the present team and what has changed', async () => {
    const team = await aTeam(admin, { name: 'contested' });
    await org.ask(admin, TEAM_UPDATE, { input: { id: team.id, name: 'first' } });
    const { teamUpdate } = await org.ask(admin, TEAM_UPDATE, {
      input: { id: team.id, name: 'second', expectedVersion: 1 },
    });
    expect(teamUpdate).toMatchObject({
      success: false,
      userErrors: [
        {
          code: 'CONFLICT',
          changedFields: ['name'],
          current: { __typename: 'Team', name: 'first', version: 2 },
        },
      ],
    });
  });

  it('runs a mutation once per idempotency key, and refuses the key for another request', async () => {
    const create = `mutation ($input: TeamCreateInput!) { teamCreate(input: $input) { success syncId team { id } } }`;
    const idempotencyKey = randomUUID();
    const input = { name: 'once' };
    const first = await org.ask(admin, create, { input }, { idempotencyKey });
    const again = await org.ask(
      admin,
      create,
      { input: { ...input, clientMutationId: 'x' } },
      { idempotencyKey },
    );
    expect(again).toEqual(first);
    const other = await org.send(admin, create, { input: { name: 'other' } }, { idempotencyKey });
    expect(other.errors[0]?.extensions.code).toBe('IDEMPOTENCY_KEY_REUSED');
  });
});

describe('the people of a team', () => {
  it('come, leave and come back: each stay is an entry, and only present ones count', async () => {
    const grace = await aColleague(admin);
    const team = await aTeam(admin);
    const input = { teamId: team.id, userId: grace.userId };
    const first = (await org.ask(admin, ADD, { input })).teamMemberAdd.teamMember;
    const left = (await org.ask(admin, REMOVE, { input })).teamMemberRemove.teamMember;
    expect(left).toEqual({ id: first.id, leftAt: expect.any(String) });
    const second = (await org.ask(admin, ADD, { input })).teamMemberAdd.teamMember;
    expect(second.id).not.toBe(first.id);
    const query = `query ($id: ID!) { team(id: $id) { memberCount
      now: members { nodes { id } totalCount } all: members(includeFormer: true) { nodes { id } } } }`;
    expect((await org.ask(admin, query, { id: team.id })).team).toEqual({
      memberCount: 1,
      now: { nodes: [{ id: second.id }], totalCount: 1 },
      all: { nodes: [{ id: first.id }, { id: second.id }] },
    });
  });

  it('who joined the organisation a moment before are accepted, 100 of 100', async () => {
    const team = await aTeam(admin);
    let accepted = 0;
    // Ten at a time: each fact is committed while the person is already being waited for.
    for (let round = 0; round < 10; round++) {
      const newcomers = Array.from({ length: 10 }, () => aViewer('MEMBER', admin.orgId));
      const answers = await Promise.all(
        newcomers.map(async (newcomer) => {
          const adding = org.ask(admin, ADD, { input: { teamId: team.id, userId: newcomer.userId } });
          await org.deliver(joined(newcomer));
          return adding;
        }),
      );
      accepted += answers.filter(({ teamMemberAdd }) => teamMemberAdd.success).length;
    }
    expect(accepted).toBe(100);
  });

  it('who are absent, foreign or suspended are refused alike', async () => {
    const team = await aTeam(admin);
    const suspended = aViewer('MEMBER', admin.orgId);
    const fact = joined(suspended, 'SUSPENDED');
    await org.deliver(fact);
    await org.settled(fact);
    const answers = await Promise.all(
      [ABSENT, stranger.userId, suspended.userId, 'no-uuid'].map((userId) =>
        org.send(admin, ADD, { input: { teamId: team.id, userId } }),
      ),
    );
    expect(new Set(answers.map(bytesOf)).size).toBe(1);
    expect(answers[0]?.text).toContain('NOT_FOUND');
  });

  it('are chosen by a MANAGER of the team and by nobody else below ORG_ADMIN', async () => {
    const team = await aTeam(admin);
    const [manager, member, grace] = [
      await aColleague(admin, 'MANAGER'),
      await aColleague(admin, 'MEMBER'),
      await aColleague(admin),
    ];
    const input = { teamId: team.id, userId: grace.userId };
    const before = await org.ask(manager, ADD, { input });
    expect(before.teamMemberAdd.userErrors[0].code).toBe('FORBIDDEN');
    await org.ask(admin, ADD, { input: { ...input, userId: manager.userId, role: 'MANAGER' } });
    expect((await org.ask(member, ADD, { input })).teamMemberAdd.userErrors[0].code).toBe('FORBIDDEN');
    expect((await org.ask(manager, ADD, { input })).teamMemberAdd.success).toBe(true);
  });
});

describe('projects', () => {
  it('belong to teams, and say who assigned them and when', async () => {
    const [one, two] = [await aTeam(admin, { name: 'one' }), await aTeam(admin, { name: 'two' })];
    const project = await aProject(admin, { key: 'ONETWO', teamIds: [one.id] });
    const update = `mutation ($input: ProjectUpdateInput!) { projectUpdate(input: $input) { ${ERRORS} project { version teams { name } teamAssignments { assignedAt assignedBy { id } team { name } } } } }`;
    const { projectUpdate } = await org.ask(admin, update, {
      input: { id: project.id, addTeamIds: [two.id], removeTeamIds: [one.id] },
    });
    expect(projectUpdate.project).toEqual({
      ...{ version: 2, teams: [{ name: 'two' }] },
      teamAssignments: [
        { assignedAt: expect.any(String), assignedBy: { id: admin.userId }, team: { name: 'two' } },
      ],
    });
  });

  it('refuse a key that is taken, reserved or malformed, and a team that is not there', async () => {
    const create = `mutation ($input: ProjectCreateInput!) { projectCreate(input: $input) { ${ERRORS} } }`;
    await aProject(admin, { key: 'TAKEN' });
    const refusals = [];
    for (const input of [
      { key: 'TAKEN' },
      { key: 'TASK' },
      { key: 'lower' },
      { key: 'FINE', teamIds: [ABSENT] },
      { key: 'FINE', teamIds: [(await aTeam(stranger)).id] },
    ]) {
      const { projectCreate } = await org.ask(admin, create, { input: { name: 'P', ...input } });
      refusals.push(projectCreate.userErrors[0].code);
    }
    expect(refusals).toEqual(['CONFLICT', 'BAD_USER_INPUT', 'BAD_USER_INPUT', 'NOT_FOUND', 'NOT_FOUND']);
  });
});

describe('lists', () => {
  it('page by keyset, and refuse a bad size, a tampered cursor and one of another tenant', async () => {
    const viewer = await aFoundedOrg('Pages');
    for (let i = 0; i < 5; i++) await aTeam(viewer, { name: `team ${i}` });
    const page =
      'query ($first: Int, $after: String) { teams(first: $first, after: $after) { nodes { name } totalCount pageInfo { hasNextPage hasPreviousPage endCursor } } }';
    const seen: string[] = [];
    let after: string | null = null;
    do {
      const { teams } = await org.ask(viewer, page, { first: 2, after });
      seen.push(...teams.nodes.map(({ name }: { name: string }) => name));
      expect(teams.totalCount).toBe(5);
      after = teams.pageInfo.hasNextPage ? teams.pageInfo.endCursor : null;
    } while (after);
    expect(seen).toEqual(['team 0', 'team 1', 'team 2', 'team 3', 'team 4']);
    const { teams } = await org.ask(viewer, page, { first: 1 });
    const cursor: string = teams.pageInfo.endCursor;
    const bad = [
      { first: -1 },
      { first: 101 },
      { after: `${cursor.slice(0, -2)}${cursor.endsWith('xx') ? 'yy' : 'xx'}` },
      { after: 'nonsense' },
    ];
    for (const variables of bad) {
      expect((await org.send(viewer, page, variables)).errors[0]?.extensions.code).toBe('BAD_USER_INPUT');
    }
    const foreign = await org.send(stranger, page, { after: cursor });
    expect(foreign.errors[0]?.extensions.code).toBe('BAD_USER_INPUT');
  });
});

describe('what is not the viewer’s', () => {
  it('answers like what is not there, byte for byte, and stays as it is', async () => {
    const team = await aTeam(stranger, { name: 'theirs' });
    const project = await aProject(stranger, { key: 'THEIRS' });
    const questions: [string, string][] = [
      ['query ($id: ID!) { team(id: $id) { name } }', team.id],
      ['query ($id: ID!) { project(id: $id) { name } }', project.id],
      [`mutation ($id: ID!) { teamUpdate(input: { id: $id, name: "mine" }) { ${ERRORS} } }`, team.id],
      [`mutation ($id: ID!) { projectUpdate(input: { id: $id, name: "mine" }) { ${ERRORS} } }`, project.id],
      [
        `mutation ($id: ID!) { teamCreate(input: { name: "mine", parentTeamId: $id }) { ${ERRORS} } }`,
        team.id,
      ],
    ];
    for (const viewer of [admin, aViewer('GUEST', stranger.orgId)]) {
      for (const [query, id] of questions.slice(0, viewer === admin ? 5 : 4)) {
        const [foreign, absent, malformed] = await Promise.all(
          [id, ABSENT, 'no-uuid'].map((asked) => org.send(viewer, query, { id: asked })),
        );
        expect(foreign && bytesOf(foreign), query).toBe(absent && bytesOf(absent));
        expect(malformed && bytesOf(malformed), query).toBe(absent && bytesOf(absent));
      }
    }
    const { team: unchanged } = await org.ask(
      stranger,
      'query ($id: ID!) { team(id: $id) { name version } }',
      { id: team.id },
    );
    expect(unchanged).toEqual({ name: 'theirs', version: 1 });
  });
});

describe('progress', () => {
  it('follows the newest version of each task, in whatever order and however often facts arrive', async () => {
    const project = await aProject(admin, { key: 'PROG' });
    const task = (id: string, version: number, status: string, deletedAt: string | null = null) => {
      const after = {
        ...{
          id,
          key: 'PROG-1',
          title: 't',
          status,
          priority: 'NONE',
          assigneeId: null,
          creatorId: admin.userId,
        },
        ...{ projectId: project.id, tags: [], dueAt: null, archivedAt: null, deletedAt, version },
        createdAt: new Date().toISOString(),
      };
      const common = { orgId: admin.orgId, aggregate: { id, version }, actor: admin, requestId: 'test' };
      return makeFact({ type: 'task.updated', ...common, before: after, after });
    };
    const progress = async () =>
      (await org.ask(admin, 'query ($id: ID!) { project(id: $id) { progress } }', { id: project.id })).project
        .progress;
    const ids = [randomUUID(), randomUUID(), randomUUID()] as const;
    await org.deliver(
      ...ids.map((id) => task(id, 1, 'TODO')),
      task(ids[0], 2, 'DONE'),
      task(ids[0], 2, 'DONE'),
    );
    await until('a third', async () => (await progress()) === 33);
    await org.deliver(task(ids[1], 5, 'DONE'), task(ids[1], 4, 'TODO'));
    await until('two thirds', async () => (await progress()) === 66);
    const last = task(ids[2], 2, 'TODO', new Date().toISOString());
    await org.deliver(last);
    await until('all that is left', async () => (await progress()) === 100);
  });
});
