import { randomUUID } from 'node:crypto';
import type { Viewer } from '@taskflow/kit/identity';
import { type FactOf, makeFact } from '@taskflow/schema/events';
import { dataExportRequested, gatheredBy } from '@taskflow/tests/kit/facts';
import { aSubgraph, aViewer, type TestSubgraph } from '@taskflow/tests/kit/subgraph';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readOrgConfig } from '../src/config.ts';
import { createService } from '../src/service.ts';

let org: TestSubgraph;
let behind: pg.Client;

beforeAll(async () => {
  org = await aSubgraph('org', (env, deps) => createService(readOrgConfig(env), deps));
  behind = new pg.Client({ connectionString: org.database.adminUrl });
  behind.on('error', () => {}); // the database is dropped beneath it when the file is done
  await behind.connect();
});
afterAll(() => behind.end());

async function arrive(...facts: Parameters<TestSubgraph['deliver']>) {
  await org.deliver(...facts);
  await org.settled(...facts);
}

async function anOrganization(name: string): Promise<Viewer> {
  const admin = aViewer();
  const { orgId, userId } = admin;
  await arrive(
    makeFact({
      ...{ type: 'organization.founded', orgId, aggregate: { id: orgId, version: 1 }, actor: admin },
      ...{ requestId: 'test', before: null, after: { name, founderId: userId } },
    }),
    joined(admin, userId, name),
  );
  return admin;
}
const joined = ({ orgId, userId }: Viewer, id: string, name: string) =>
  makeFact({
    ...{ type: 'member.joined', orgId, aggregate: { id, version: 1 }, actor: { userId } },
    ...{ requestId: 'test', before: null },
    after: { id, name, email: `${name}@acme.test`.toLowerCase(), role: 'MEMBER', status: 'ACTIVE' },
  });

async function aTeam(admin: Viewer, name: string): Promise<string> {
  const { teamCreate } = await org.ask(
    admin,
    `mutation { teamCreate(input: { name: "${name}" }) { team { id } } }`,
  );
  return teamCreate.team.id;
}
const change = (admin: Viewer, field: string, input: object) =>
  org.ask(
    admin,
    `mutation ($input: ${field[0]?.toUpperCase()}${field.slice(1)}Input!) {
    ${field}(input: $input) { success userErrors { code } } }`,
    { input },
  );

/** About the person who asked; a marker asks about somebody else. */
const answersTo = async ({ aggregate, after }: FactOf<'data-export.requested'>) =>
  (
    await behind.query(
      `select envelope from outbox where type = 'org-data.gathered' and aggregate_id = $1
         and envelope #>> '{after,userId}' = $2 order by id`,
      [aggregate.id, after.userId],
    )
  ).rows.map(({ envelope }) => envelope);

describe('asked for the data of a person, org', () => {
  it('answers with their teams, former ones too, and what they did, and with nothing of others', async () => {
    const ada = await anOrganization('Ada');
    const grace = randomUUID();
    await arrive(joined(ada, grace, 'Grace'));
    const [left, stayed, foreign] = [
      await aTeam(ada, 'Left'),
      await aTeam(ada, 'Stayed'),
      await aTeam(ada, 'Foreign'),
    ];
    for (const teamId of [left, stayed])
      await change(ada, 'teamMemberAdd', { teamId, userId: grace, role: 'MEMBER' });
    await change(ada, 'teamMemberRemove', { teamId: left, userId: grace });
    await change(ada, 'teamMemberAdd', { teamId: foreign, userId: ada.userId, role: 'MANAGER' });
    await change(ada, 'projectCreate', { name: 'Difference', key: 'DIF', teamIds: [foreign] });

    const [hers, his] = [dataExportRequested({ orgId: ada.orgId, userId: grace }), dataExportRequested(ada)];
    await arrive(hers, his);
    const data = gatheredBy(hers, await answersTo(hers));
    expect(data).toMatchObject({
      member: [{ name: 'Grace', email: 'grace@acme.test' }],
      teamStays: [
        { teamName: 'Left', addedBy: ada.userId, leftAt: expect.any(String) },
        { teamName: 'Stayed', addedBy: ada.userId, leftAt: null },
      ],
      peopleAddedToTeams: [],
      teamsAssignedToProjects: [],
      auditLog: [],
    });
    expect(JSON.stringify(data)).not.toContain('Foreign');
    expect(gatheredBy(his, await answersTo(his))).toMatchObject({
      teamStays: [{ teamName: 'Foreign' }],
      peopleAddedToTeams: [{ userId: grace }, { userId: grace }, { userId: ada.userId }],
      teamsAssignedToProjects: [{ projectName: 'Difference', isAssignedByPerson: true, removedAt: null }],
      auditLog: expect.arrayContaining([expect.objectContaining({ action: 'project.created' })]),
    });
  });

  it('answers once, however often it is asked, and about a stranger with empty lists', async () => {
    const ada = await anOrganization('Ada');
    const bob = await anOrganization('Bob');
    const request = dataExportRequested({ orgId: bob.orgId, userId: ada.userId });
    const marker = dataExportRequested(bob, { exportId: request.aggregate.id });
    await arrive(request, request);
    await arrive(request, marker);
    const answers = await answersTo(request);
    expect(answers).toHaveLength(1);
    expect(Object.values(gatheredBy(request, answers)).flat()).toEqual([]);
  });
});
