import { randomUUID } from 'node:crypto';
import { makeFact } from '@taskflow/schema/events';
import { aSubgraph, aViewer, type TestSubgraph } from '@taskflow/tests/kit/subgraph';
import { until } from '@taskflow/tests/kit/until';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readOrgConfig } from '../src/config.ts';
import { createService } from '../src/service.ts';

let org: TestSubgraph;
let behind: pg.Client;
const viewer = aViewer();

const founded = () =>
  makeFact({
    ...{ type: 'organization.founded', orgId: viewer.orgId, aggregate: { id: viewer.orgId, version: 1 } },
    ...{ actor: viewer, requestId: 'test', before: null, after: { name: 'Acme', founderId: viewer.userId } },
  });
const member = (version: number, name: string) => {
  const after = { id: viewer.userId, name, email: 'a@acme.test', role: 'MEMBER', status: 'ACTIVE' };
  const common = {
    orgId: viewer.orgId,
    aggregate: { id: viewer.userId, version },
    actor: viewer,
    requestId: 'test',
  };
  return makeFact({ type: 'member.updated', ...common, before: after, after });
};

beforeAll(async () => {
  org = await aSubgraph('org', (env, deps) => createService(readOrgConfig(env), deps));
  behind = new pg.Client({ connectionString: org.database.adminUrl });
  await behind.connect();
});
afterAll(() => behind.end());

describe('facts that org consumes', () => {
  it('have their effect once, however often they are delivered', async () => {
    const fact = founded();
    await org.deliver(fact, fact);
    await org.settled(fact);
    const renamed = await org.ask(
      viewer,
      'mutation { organizationUpdate(input: { name: "Renamed" }) { organization { name } } }',
    );
    expect(renamed.organizationUpdate.organization.name).toBe('Renamed');
    const marker = member(1, 'marker');
    await org.deliver(fact, marker);
    await org.settled(marker);
    expect((await org.ask(viewer, '{ organization { name } }')).organization.name).toBe('Renamed');
  });

  it('never replace a newer version by an older one', async () => {
    const [newer, older] = [member(7, 'newer'), member(6, 'older')];
    await org.deliver(newer, older);
    await org.settled(newer, older);
    const { rows } = await behind.query('select name, version from members where id = $1', [viewer.userId]);
    expect(rows).toEqual([{ name: 'newer', version: 7 }]);
  });

  it('end the stays of who was removed, once, and keep them as history', async () => {
    const admin = aViewer();
    const { orgId, userId } = admin;
    const grace: string = randomUUID();
    const person = (id: string, version: number, status: string) => {
      const after = { id, name: 'Grace', email: 'g@acme.test', role: 'MEMBER', status };
      const common = { orgId, aggregate: { id, version }, actor: admin, requestId: 'test' };
      return makeFact({ type: 'member.updated', ...common, before: after, after });
    };
    const founding = makeFact({
      ...{ type: 'organization.founded', orgId, aggregate: { id: orgId, version: 1 }, actor: admin },
      ...{ requestId: 'test', before: null, after: { name: 'Acme', founderId: userId } },
    });
    const arrived = [founding, person(userId, 1, 'ACTIVE'), person(grace, 1, 'ACTIVE')];
    await org.deliver(...arrived);
    await org.settled(...arrived);
    const join = (teamId: string, id: string = grace) =>
      org.ask(
        ...([
          admin,
          `mutation ($input: TeamMemberAddInput!) { teamMemberAdd(input: $input) { success
          userErrors { code field } } }`,
        ] as const),
        { input: { teamId, userId: id } },
      );
    const teams: string[] = [];
    for (const name of ['One', 'Two', 'Three']) {
      const { teamCreate } = await org.ask(
        ...([
          admin,
          'mutation ($name: String!) { teamCreate(input: { name: $name }) { team { id } } }',
        ] as const),
        { name },
      );
      teams.push(teamCreate.team.id);
      expect((await join(teamCreate.team.id)).teamMemberAdd.success).toBe(true);
    }
    const [one = ''] = teams;
    await join(one, userId);

    const [suspended, removed] = [person(grace, 2, 'SUSPENDED'), person(grace, 3, 'REMOVED')];
    await org.deliver(suspended);
    await org.settled(suspended);
    const staysOf = async (id: string) =>
      (
        await behind.query('select left_at is null as "isThere" from team_members where user_id = $1', [id])
      ).rows.map(({ isThere }) => isThere);
    expect(await staysOf(grace)).toEqual([true, true, true]);
    expect((await join(one)).teamMemberAdd.userErrors).toEqual([{ code: 'NOT_FOUND', field: 'userId' }]);

    const marker = person(grace, 1, 'ACTIVE');
    await org.deliver(removed, removed, marker);
    await org.settled(removed, marker);
    expect(await staysOf(grace)).toEqual([false, false, false]);
    expect(await staysOf(userId)).toEqual([true]);
    const facts = await behind.query(
      `select envelope from outbox where org_id = $1 and type = 'team.member-removed'`,
      [orgId],
    );
    const after = { userId: grace, leftAt: expect.any(String) };
    const told = { envelope: { actor: { userId }, before: { userId: grace, leftAt: null }, after } };
    expect(facts.rows).toMatchObject([told, told, told]);
    expect((await join(one)).teamMemberAdd.userErrors).toEqual([{ code: 'NOT_FOUND', field: 'userId' }]);

    const back = person(grace, 4, 'ACTIVE');
    await org.deliver(back);
    await org.settled(back);
    expect((await join(one)).teamMemberAdd.success).toBe(true);
    expect(await staysOf(grace)).toHaveLength(4);
  });

  it('and an addition at the same moment leave nobody in a team who was removed', async () => {
    const admin = aViewer();
    const { orgId, userId } = admin;
    const common = { orgId, actor: admin, requestId: 'test' };
    const person = (id: string, version: number, status: string) => {
      const after = { id, name: 'Grace', email: 'g@acme.test', role: 'MEMBER', status };
      return makeFact({
        type: 'member.updated',
        ...common,
        aggregate: { id, version },
        ...{ before: after, after },
      });
    };
    const founding = makeFact({
      ...{ type: 'organization.founded', ...common, aggregate: { id: orgId, version: 1 } },
      ...{ before: null, after: { name: 'Acme', founderId: userId } },
    });
    const people: string[] = Array.from({ length: 24 }, () => randomUUID());
    const arrived = [founding, ...people.map((id) => person(id, 1, 'ACTIVE'))];
    await org.deliver(...arrived);
    await org.settled(...arrived);
    const teamIds: string[] = [];
    for (const name of ['One', 'Two']) {
      const { teamCreate } = await org.ask(
        ...([
          admin,
          'mutation ($name: String!) { teamCreate(input: { name: $name }) { team { id } } }',
        ] as const),
        { name },
      );
      teamIds.push(teamCreate.team.id);
    }
    const removals = people.map((id) => person(id, 2, 'REMOVED'));
    const join = (id: string, teamId: string) =>
      org.send(
        ...([
          admin,
          'mutation ($input: TeamMemberAddInput!) { teamMemberAdd(input: $input) { success } }',
        ] as const),
        { input: { teamId, userId: id } },
      );
    const answers = await Promise.all([
      ...people.flatMap((id) => teamIds.map((teamId) => join(id, teamId))),
      org.deliver(...removals),
    ]);
    await org.settled(...removals);
    expect(answers.flatMap((answer) => answer?.errors ?? [])).toEqual([]);
    const { rows } = await behind.query(
      'select count(*)::int as stays, count(*) filter (where left_at is null)::int as "isThere" from team_members where org_id = $1',
      [orgId],
    );
    expect(rows).toEqual([{ stays: expect.any(Number), isThere: 0 }]);
  });

  it('that cannot be handled become dead letters with the reason, and later facts of the same thing wait behind', async () => {
    const broken = { ...member(8, 'broken'), after: { id: viewer.userId } };
    const later = member(9, 'later');
    await org.deliver(broken, later);
    const letters = await until(
      'two dead letters',
      async () => {
        const { rows } = await behind.query('select reason, attempts from dead_letters order by id');
        return rows.length === 2 && rows;
      },
      20_000,
    );
    expect(letters).toEqual([
      { reason: expect.stringContaining('member.updated'), attempts: 5 },
      { reason: expect.stringContaining('waits behind'), attempts: 0 },
    ]);
  }, 30_000);
});
