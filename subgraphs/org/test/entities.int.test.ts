import { randomUUID } from 'node:crypto';
import type { Viewer } from '@taskflow/kit/identity';
import { makeFact } from '@taskflow/schema/events';
import { aSubgraph, aViewer, type TestSubgraph } from '@taskflow/tests/kit/subgraph';
import { beforeAll, describe, expect, it } from 'vitest';
import { readOrgConfig } from '../src/config.ts';
import { createService } from '../src/service.ts';

let org: TestSubgraph;
let admin: Viewer;
let stranger: Viewer;

async function aFoundedOrg(): Promise<Viewer> {
  const viewer = aViewer('ORG_ADMIN');
  const fact = makeFact({
    ...{ type: 'organization.founded', orgId: viewer.orgId, aggregate: { id: viewer.orgId, version: 1 } },
    ...{ actor: viewer, requestId: 'test', before: null, after: { name: 'Acme', founderId: viewer.userId } },
  });
  await org.deliver(fact);
  await org.settled(fact);
  return viewer;
}

async function someProjects(by: Viewer, count: number): Promise<string[]> {
  const fields = Array.from({ length: count }, (_, i) => {
    const key = `K${i}X${randomUUID()
      .slice(0, 4)
      .toUpperCase()
      .replace(/[^A-Z0-9]/g, 'X')}`;
    return `p${i}: projectCreate(input: { name: "P", key: "${key}", teamIds: $teams }) { success project { id } }`;
  });
  const { teamCreate } = await org.ask(by, 'mutation { teamCreate(input: { name: "T" }) { team { id } } }');
  const made = await org.ask(by, `mutation ($teams: [ID!]) { ${fields.join('\n')} }`, {
    teams: [teamCreate.team.id],
  });
  return Object.values(made as Record<string, { project: { id: string } }>).map(({ project }) => project.id);
}

const ENTITIES = 'query ($representations: [_Any!]!) { _entities(representations: $representations) {';

beforeAll(async () => {
  org = await aSubgraph('org', (env, deps) => createService(readOrgConfig(env), deps));
  [admin, stranger] = [await aFoundedOrg(), await aFoundedOrg()];
});

describe('entities of org', () => {
  it('take the same number of statements for 1, 10 and 100 projects with their teams and assignments', async () => {
    const ids = [...(await someProjects(admin, 50)), ...(await someProjects(admin, 50))];
    const query = `${ENTITIES} ... on Project { name teams { name memberCount children { id } members(first: 2) { nodes { id } } } teamAssignments { assignedAt } } } }`;
    const counts = [];
    for (const size of [1, 10, 100]) {
      const representations = ids.slice(0, size).map((id) => ({ __typename: 'Project', id }));
      org.statements.length = 0;
      const { _entities } = await org.ask(admin, query, { representations });
      expect(_entities).toHaveLength(size);
      expect(_entities.every((project: { teams: unknown[] }) => project.teams.length === 1)).toBe(true);
      counts.push(org.statements.length);
    }
    expect(new Set(counts).size, String(counts)).toBe(1);
  });

  it('are null for foreign, absent and malformed ids alike, whatever their type', async () => {
    const [theirs = ''] = await someProjects(stranger, 1);
    const { teams } = await org.ask(stranger, '{ teams { nodes { id } } }');
    const ids = { Project: theirs, Team: teams.nodes[0].id, Organization: stranger.orgId };
    for (const [typename, foreign] of Object.entries(ids)) {
      const representations = [foreign, randomUUID(), 'no-uuid'].map((id) => ({ __typename: typename, id }));
      const { _entities } = await org.ask(admin, `${ENTITIES} ... on ${typename} { name } } }`, {
        representations,
      });
      expect(_entities).toEqual([null, null, null]);
    }
  });

  it('show no teams of a foreign person', async () => {
    const representations = [stranger.userId, randomUUID()].map((id) => ({ __typename: 'User', id }));
    const { _entities } = await org.ask(admin, `${ENTITIES} ... on User { teams { name } } } }`, {
      representations,
    });
    expect(_entities[0]).toEqual(_entities[1]);
  });
});
