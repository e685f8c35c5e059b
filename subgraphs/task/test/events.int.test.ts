import { randomUUID } from 'node:crypto';
import { until } from '@taskflow/tests/kit/until';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  anOrganization,
  aTask,
  aTaskService,
  type Caller,
  change,
  DELETE,
  EVENTS,
  type TestTaskService,
} from './fixture.ts';

let service: TestTaskService;
beforeAll(async () => {
  service = await aTaskService();
});

/** A subscription whose place in the stream is settled: what happens from now on, it tells. */
async function listening(caller: Caller, filter: object | null = null) {
  const subscription = caller.subscribe(EVENTS, { filter });
  expect(await subscription.next()).toMatchObject({ __typename: 'StreamHeartbeat' });
  return subscription;
}

/** The relay has numbered what was committed: a replay from now on has all of it. */
const numbered = () =>
  until('facts to be numbered', async () => {
    const waiting = await service.rows('select from outbox where seq is null limit 1');
    return waiting.length === 0;
  });

const created = (task: { id: string }) => ({ __typename: 'TaskChange', kind: 'CREATED', taskId: task.id });
const updated = (task: { id: string }) => ({ ...created(task), kind: 'UPDATED' });
const deleted = (task: { id: string }) => ({ ...created(task), kind: 'DELETED', task: null });
const resync = { __typename: 'ResyncRequired', reason: 'VISIBILITY_CHANGED' };

/** What a marker task at the end proves: nothing else came before it. */
async function nothingBut(ada: Caller, subscription: { nextChange(): Promise<object> }, input: object = {}) {
  const marker = await aTask(ada, { title: 'marker', ...input });
  expect(await subscription.nextChange()).toMatchObject(created(marker));
}

describe('taskEvents', () => {
  test('tells each change once, in order, with what has changed and who did it', async () => {
    const { admin } = anOrganization(service);
    const events = await listening(admin);
    const task = await aTask(admin);
    await change(admin, { id: task.id, title: 'New', status: 'DONE' });
    await admin.ask(DELETE, { input: { id: task.id } });
    expect(await events.nextChange()).toMatchObject({
      ...created(task),
      ...{ version: 1, actor: { id: admin.viewer.userId }, occurredAt: expect.any(String) },
      changedFields: expect.arrayContaining(['key', 'title', 'creator', 'status']),
    });
    expect(await events.nextChange()).toMatchObject({
      ...updated(task),
      ...{ version: 2, changedFields: ['title', 'status'] },
    });
    expect(await events.nextChange()).toMatchObject({ ...deleted(task), version: 3, changedFields: [] });
    await nothingBut(admin, events);
  });

  test('shows the task as it is now', async () => {
    const { admin } = anOrganization(service);
    const events = await listening(admin);
    const task = await aTask(admin);
    expect(await events.nextChange()).toMatchObject({ task: { id: task.id, title: 'A task', version: 1 } });
    await change(admin, { id: task.id, title: 'New' });
    expect(await events.nextChange()).toMatchObject({ version: 2, task: { title: 'New', version: 2 } });
  });

  test('means entering and leaving the view: assigned is CREATED, taken away is DELETED', async () => {
    const org = anOrganization(service);
    const [grace, guest] = [await org.joins(), await org.joins('GUEST')];
    const task = await aTask(org.admin);
    const hers = await listening(grace);
    const theirs = await listening(guest);
    await change(org.admin, { id: task.id, assigneeId: grace.viewer.userId });
    expect(await hers.nextChange()).toMatchObject({ ...created(task), task: { id: task.id } });
    await change(org.admin, { id: task.id, title: 'New' });
    expect(await hers.nextChange()).toMatchObject(updated(task));
    await change(org.admin, { id: task.id, assigneeId: guest.viewer.userId });
    expect(await hers.nextChange()).toMatchObject({ ...deleted(task), changedFields: ['assignee'] });
    expect(await theirs.nextChange()).toMatchObject(created(task));
    await change(org.admin, { id: task.id, title: 'Newer' });
    await nothingBut(grace, hers);
  });

  test('means entering and leaving the filter', async () => {
    const org = anOrganization(service);
    const { admin } = org;
    const [one, two] = [await org.project(), await org.project()];
    const grace = await org.joins();
    const task = await aTask(admin, { projectId: one.id });
    const inTwo = await listening(admin, { projectId: two.id.toUpperCase() });
    const ofGrace = await listening(admin, { assigneeId: grace.viewer.userId });
    const ofTask = await listening(admin, { taskId: task.id });
    await change(admin, { id: task.id, projectId: two.id });
    await change(admin, { id: task.id, assigneeId: grace.viewer.userId });
    await change(admin, { id: task.id, projectId: null });
    const twos = [await inTwo.nextChange(), await inTwo.nextChange(), await inTwo.nextChange()];
    expect(twos).toMatchObject([created(task), updated(task), deleted(task)]);
    expect([await ofGrace.nextChange(), await ofGrace.nextChange()]).toMatchObject([
      created(task),
      updated(task),
    ]);
    for (let i = 0; i < 3; i++) expect(await ofTask.nextChange()).toMatchObject(updated(task));
    const assigneeId = grace.viewer.userId;
    await nothingBut(admin, inTwo, { projectId: two.id, assigneeId });
    expect(await ofGrace.nextChange()).toMatchObject({ kind: 'CREATED' });
  });

  test('is refused with NOT_FOUND for a project or task that the viewer cannot see, alike for all reasons', async () => {
    const [org, other] = [anOrganization(service), anOrganization(service)];
    const [grace, guest] = [await org.joins(), await org.joins('GUEST')];
    const invisible = await aTask(org.admin);
    const foreign = await aTask(other.admin);
    const [project, foreignProject] = [await org.project(), await other.project()];
    const refusalOf = async (caller: Caller, filter: object) => {
      const error = await caller
        .subscribe(EVENTS, { filter })
        .next()
        .then(
          () => null,
          (reason: unknown) => reason,
        );
      return JSON.stringify(error, ['message', 'extensions', 'code']);
    };
    const tasks = [invisible.id, foreign.id, randomUUID(), 'x'];
    const refused = await Promise.all(tasks.map((taskId) => refusalOf(grace, { taskId })));
    expect(new Set(refused).size).toBe(1);
    expect(refused[0]).toContain('NOT_FOUND');
    const projects = [
      ...[foreignProject.id, randomUUID(), 'x'].map((projectId) => refusalOf(grace, { projectId })),
      refusalOf(guest, { projectId: project.id }),
    ];
    const answers = new Set(await Promise.all(projects));
    expect(answers.size).toBe(1);
    expect([...answers][0]).toContain('NOT_FOUND');
  });

  test('hears nothing of other organisations', async () => {
    const [acme, evil] = [anOrganization(service), anOrganization(service)];
    const events = await listening(evil.admin);
    await aTask(acme.admin);
    await nothingBut(evil.admin, events);
  });

  test('costs no statement for a fact that is none of the viewer’s business', async () => {
    const org = anOrganization(service);
    const grace = await org.joins();
    const events = await listening(grace);
    await nothingBut(org.admin, events, { assigneeId: grace.viewer.userId });
    const tasks = await Promise.all([1, 2, 3].map(() => aTask(org.admin)));
    service.takeStatements();
    await Promise.all(tasks.map(({ id }) => change(org.admin, { id, title: 'New' })));
    await nothingBut(org.admin, events, { assigneeId: grace.viewer.userId });
    const reads = service.takeStatements().filter((text) => /from tasks t|team_members/.test(text));
    // The changes lock their rows; of the events only the last one is looked at.
    expect(reads.filter((text) => !text.includes('for update'))).toHaveLength(1);
  });
});

describe('resuming', () => {
  test('after a cursor tells exactly what was missed, once, in order, and then goes on', async () => {
    const { admin } = anOrganization(service);
    const first = await listening(admin);
    const seen = await aTask(admin);
    const { cursor } = await first.nextChange();
    first.leave();
    const missed = [await aTask(admin), await change(admin, { id: seen.id, title: 'New' })];
    await numbered();
    const again = admin.subscribe(EVENTS, { after: cursor });
    expect(await again.next()).toMatchObject(created(missed[0]));
    expect(await again.next()).toMatchObject(updated(seen));
    expect(await again.next()).toMatchObject({ __typename: 'StreamHeartbeat' });
    await nothingBut(admin, again);
  });

  test('after the syncId of a write begins right behind it, and by the router’s position as well', async () => {
    const { admin } = anOrganization(service);
    const task = await aTask(admin);
    const next = await aTask(admin);
    await numbered();
    const bySyncId = admin.subscribe(EVENTS, { after: task.syncId });
    const event = await bySyncId.next();
    expect(event).toMatchObject(created(next));
    const byPosition = admin.subscribe(EVENTS, { after: 'ignored' }, { after: event.position - 1 });
    expect(await byPosition.next()).toMatchObject(created(next));
  });

  test('a watched task that was deleted meanwhile is told as DELETED', async () => {
    const { admin } = anOrganization(service);
    const task = await aTask(admin);
    await admin.ask(DELETE, { input: { id: task.id } });
    await numbered();
    const again = admin.subscribe(EVENTS, { filter: { taskId: task.id }, after: task.syncId });
    expect(await again.next()).toMatchObject(deleted(task));
  });

  test('is refused after a cursor of another organisation, another list, or none', async () => {
    const [acme, evil] = [anOrganization(service).admin, anOrganization(service).admin];
    const events = await listening(acme);
    await aTask(acme);
    const { cursor } = await events.nextChange();
    const list = (await acme.ask('{ tasks { pageInfo { endCursor } } }')).tasks.pageInfo.endCursor;
    for (const [caller, after] of [
      [evil, cursor],
      [acme, list],
      [acme, 'x'],
      [acme, `${cursor}x`],
    ] as const) {
      await expect(caller.subscribe(EVENTS, { after }).next()).rejects.toMatchObject([
        { extensions: { code: 'BAD_USER_INPUT' } },
      ]);
    }
  });
});

describe('a change of visibility', () => {
  test('reaches who manages a team: joining, leaving, and the team’s new and lost projects', async () => {
    const org = anOrganization(service);
    const { admin } = org;
    const [boss, grace] = [await org.joins('MANAGER'), await org.joins()];
    const team = await org.team();
    const project = await org.project(team);
    const task = await aTask(admin, { projectId: project.id });
    const [hers, all, graces] = [await listening(boss), await listening(admin), await listening(grace)];

    const leave = await org.joinsTeam(boss, team, 'MANAGER');
    expect(await hers.nextChange()).toMatchObject(resync);
    await change(admin, { id: task.id, title: 'Seen' });
    expect(await hers.nextChange()).toMatchObject({ ...updated(task), task: { title: 'Seen' } });

    // A new project has no tasks yet: nothing has to be read again, and its first task is told.
    const fresh = await org.project(team);
    await nothingBut(admin, hers, { projectId: fresh.id });

    await org.movesProject(project);
    expect(await hers.nextChange()).toMatchObject(resync);
    await change(admin, { id: task.id, title: 'Unseen' });
    await leave();
    expect(await hers.nextChange()).toMatchObject(resync);

    // Neither who sees everything nor who is not concerned hears of it.
    const seen = [await all.nextChange(), await all.nextChange(), await all.nextChange()];
    expect(seen).toMatchObject([updated(task), { kind: 'CREATED' }, updated(task)]);
    await nothingBut(grace, graces);
  });

  test('reaches members when the setting is PROJECT, and only them', async () => {
    const org = anOrganization(service);
    const { admin } = org;
    const [grace, boss, guest] = [await org.joins(), await org.joins('MANAGER'), await org.joins('GUEST')];
    const team = await org.team();
    const project = await org.project(team);
    await org.joinsTeam(grace, team);
    const task = await aTask(admin, { projectId: project.id });
    const [hers, bosses, guests] = [await listening(grace), await listening(boss), await listening(guest)];
    await nothingBut(admin, hers, { assigneeId: grace.viewer.userId });
    await change(admin, { id: task.id, title: 'Unseen' });
    await org.chooses('PROJECT');
    expect(await hers.nextChange()).toMatchObject(resync);
    await change(admin, { id: task.id, title: 'Seen' });
    expect(await hers.nextChange()).toMatchObject(updated(task));
    await org.chooses('ASSIGNED');
    expect(await hers.nextChange()).toMatchObject(resync);
    await nothingBut(boss, bosses);
    await nothingBut(admin, guests, { assigneeId: guest.viewer.userId });
  });

  test('of a role is told to that person, whose stream goes on under the new one', async () => {
    const org = anOrganization(service);
    const grace = await org.joins();
    const hers = await listening(grace);
    await org.changes(grace.viewer, 'ORG_ADMIN');
    expect(await hers.nextChange()).toMatchObject(resync);
    const task = await aTask(org.admin);
    expect(await hers.nextChange()).toMatchObject(created(task));
    await org.changes(grace.viewer, 'MEMBER', 'SUSPENDED');
    await expect(hers.nextChange()).rejects.toMatchObject([{ extensions: { code: 'SESSION_REVOKED' } }]);
  });

  test('that happens while somebody is away is told when they resume', async () => {
    const org = anOrganization(service);
    const boss = await org.joins('MANAGER');
    const marker = await aTask(boss);
    const team = await org.team();
    await org.project(team);
    await org.joinsTeam(boss, team, 'MANAGER');
    expect(await boss.subscribe(EVENTS, { after: marker.syncId }).nextChange()).toMatchObject(resync);
  });

  test('is not told when nothing changes: teams without projects, plain members, the same role again', async () => {
    const org = anOrganization(service);
    const [grace, boss] = [await org.joins(), await org.joins('MANAGER')];
    const [empty, team] = [await org.team(), await org.team()];
    const project = await org.project(team);
    await org.joinsTeam(grace, team);
    await org.joinsTeam(boss, empty, 'MANAGER');
    await org.movesProject({ ...project, teamIds: [team] }, team);
    await org.changes(grace.viewer, 'MEMBER');
    const stay = {
      id: randomUUID(),
      teamId: team,
      userId: boss.viewer.userId,
      role: 'MANAGER',
      leftAt: null,
    };
    await service.deliver(org.fact('team.member-added', stay.id, null, stay));
    const countOfTold = async () => (await visibilityFacts(org.orgId)).length;
    expect(await countOfTold()).toBe(1);
    await service.deliver(org.fact('team.member-added', stay.id, stay, stay));
    expect(await countOfTold()).toBe(1);
  });

  const visibilityFacts = (orgId: string) =>
    service.rows(`select from outbox where org_id = $1 and type = 'task.visibility-changed'`, [orgId]);
});

describe('a fact of another service', () => {
  const projections = async (orgId: string) => {
    const tables = [
      'members',
      'teams',
      'team_members',
      'projects',
      'project_teams',
      'organization_settings',
      'outbox',
    ];
    const rows = tables.map((table) =>
      service.rows(
        `select (to_jsonb(x) - 'seq' - 'published_at') as row from ${table} x where org_id = $1 order by 1`,
        [orgId],
      ),
    );
    return JSON.stringify(await Promise.all(rows));
  };

  test('that is delivered twice, or late, changes nothing', async () => {
    const org = anOrganization(service);
    const userId = randomUUID();
    const teamId = randomUUID();
    const projectId = randomUUID();
    const stayId = randomUUID();
    const member = { id: userId, name: 'Grace', email: 'g@acme.test', role: 'MEMBER', status: 'ACTIVE' };
    const team = { id: teamId, name: 'Engines', parentTeamId: null };
    const stay = { id: stayId, teamId, userId, role: 'MANAGER', leftAt: null };
    const project = { id: projectId, key: 'ENG', name: 'Engine', teamIds: [teamId] };
    const settings = { name: 'Acme', taskVisibility: 'ASSIGNED' };
    const firsts = [
      org.fact('member.joined', userId, null, member),
      org.fact('team.created', teamId, null, team),
      org.fact('project.created', projectId, null, project),
      org.fact('team.member-added', stayId, null, stay),
    ];
    const seconds = [
      org.fact('member.updated', userId, member, { ...member, role: 'MANAGER' }),
      org.fact('team.updated', teamId, team, { ...team, name: 'Motors' }),
      org.fact('team.member-removed', stayId, stay, { ...stay, leftAt: new Date().toISOString() }),
      org.fact('project.updated', projectId, project, { ...project, teamIds: [] }),
      org.fact('organization.updated', org.orgId, settings, { ...settings, taskVisibility: 'PROJECT' }),
    ];
    await service.deliver(...firsts);
    await service.deliver(...seconds);
    const before = await projections(org.orgId);
    expect(before).toContain('Motors');
    await service.deliver(...firsts, ...seconds);
    expect(await projections(org.orgId)).toBe(before);
    // The same versions again under other ids, as after an inbox that has forgotten: the version guard holds.
    const again = [...seconds, ...firsts].map((fact) => ({ ...fact, id: randomUUID() }));
    await service.deliver(...again);
    expect(await projections(org.orgId)).toBe(before);
  });

  test('that is malformed is put aside with its reason, and the next of that thing waits behind it', async () => {
    const org = anOrganization(service);
    const id = randomUUID();
    const team = { id, name: 'Engines', parentTeamId: null };
    const good = org.fact('team.created', id, null, team);
    const bad = { ...good, after: { ...team, name: 7 } } as unknown as typeof good;
    const letters = () =>
      service.rows('select reason, attempts from dead_letters where org_id = $1 order by id', [org.orgId]);
    void service.deliver(bad).catch(() => {}); // never reaches the inbox
    await until('the dead letter', async () => (await letters()).length === 1, 25_000);
    void service.deliver(org.fact('team.updated', id, team, team)).catch(() => {});
    await until('the next to wait', async () => (await letters()).length === 2);
    expect(await letters()).toMatchObject([
      { attempts: 5, reason: expect.stringContaining('name') },
      { attempts: 0 },
    ]);
  });
});

describe('the service', () => {
  test('goes on telling one listener when another leaves', async () => {
    const { admin } = anOrganization(service);
    const [leaving, staying] = [await listening(admin), await listening(admin)];
    leaving.leave();
    await nothingBut(admin, staying);
    await nothingBut(admin, staying);
  });

  test('stops while busy: what was asked is answered, subscriptions end, nothing is left half done', async () => {
    const own = await aTaskService();
    const org = anOrganization(own);
    const events = org.admin.subscribe(EVENTS);
    await events.next();
    const asked = Array.from({ length: 20 }, () =>
      aTask(org.admin).then(
        (task) => task.id,
        () => null,
      ),
    );
    await until('the first to be written', async () => (await own.rows('select from tasks')).length > 0);
    await own.stop();
    const answered = (await Promise.all(asked)).filter((id) => id !== null);
    const written = await own.rows<{ id: string }>('select id from tasks');
    expect(written.map(({ id }) => id).sort()).toEqual(answered.sort());
    const facts = await own.rows(`select from outbox where type = 'task.created'`);
    expect(facts).toHaveLength(written.length);
  });

  test('can run twice over one database and Redis', async () => {
    const second = await service.start();
    const org = anOrganization(service);
    const events = await listening(org.admin);
    await nothingBut(org.admin, events);
    await second.stop();
    await nothingBut(org.admin, events);
  });
});
