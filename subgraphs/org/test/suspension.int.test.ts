import type { Viewer } from '@taskflow/kit/identity';
import { makeFact } from '@taskflow/schema/events';
import { aSubgraph, aViewer, type TestSubgraph } from '@taskflow/tests/kit/subgraph';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { command as reinstate } from '../src/commands/organization-reinstate.ts';
import { command as suspend } from '../src/commands/organization-suspend.ts';
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

async function anOrganization(name = 'Acme'): Promise<Viewer & { slug: string }> {
  const viewer = aViewer();
  const { orgId, userId } = viewer;
  const fact = makeFact({
    ...{ type: 'organization.founded', orgId, aggregate: { id: orgId, version: 1 }, actor: { userId: null } },
    ...{ requestId: 'test', before: null, after: { name, founderId: userId } },
  });
  await org.deliver(fact);
  await org.settled(fact);
  const { organization } = await org.ask(viewer, '{ organization { slug } }');
  return { ...viewer, slug: organization.slug };
}

/** What the operator reads. */
async function run(command: typeof suspend, ...args: string[]): Promise<string> {
  const lines: string[] = [];
  const { appUrl, systemUrl } = org.database;
  const env = { ORG_DATABASE_URL: appUrl, ORG_SYSTEM_DATABASE_URL: systemUrl };
  await command.run(args, { env, out: (line) => void lines.push(line) });
  return lines.join('\n');
}
const rowOf = async (orgId: string) =>
  (
    await behind.query(
      `select status, suspended_at is not null as "hasTime", version from organizations where org_id = $1`,
      [orgId],
    )
  ).rows[0];
const factsOf = async (orgId: string) =>
  (
    await behind.query(
      `select envelope from outbox where org_id = $1 and type like 'organization.%' order by id`,
      [orgId],
    )
  ).rows.map(({ envelope }) => envelope);

describe('the operator', () => {
  it('suspends an organisation by its short name and reinstates it by its id, with a fact and an audit line each', async () => {
    const { orgId, slug } = await anOrganization();
    expect(await run(suspend, slug)).toBe(`${slug} (${orgId}) is suspended`);
    expect(await rowOf(orgId)).toEqual({ status: 'SUSPENDED', hasTime: true, version: 2 });
    expect(await run(reinstate, orgId)).toBe(`${slug} (${orgId}) works again`);
    expect(await rowOf(orgId)).toEqual({ status: 'ACTIVE', hasTime: false, version: 3 });
    const by = { actor: { userId: null }, requestId: expect.stringMatching(/^operator-/) };
    expect(await factsOf(orgId)).toMatchObject([
      {
        type: 'organization.suspended',
        aggregate: { id: orgId, version: 2 },
        ...by,
        after: { status: 'SUSPENDED' },
      },
      {
        type: 'organization.reinstated',
        aggregate: { id: orgId, version: 3 },
        ...by,
        after: { status: 'ACTIVE' },
      },
    ]);
    const { rows } = await behind.query(
      `select action, actor_id from audit_entries where org_id = $1 and action like 'organization.%' order by id`,
      [orgId],
    );
    expect(rows.slice(-2)).toEqual([
      { action: 'organization.suspended', actor_id: null },
      { action: 'organization.reinstated', actor_id: null },
    ]);
  });

  it('changes no field that a client knows, nor does a plan: a ConflictError names none', async () => {
    const viewer = await anOrganization();
    await run(suspend, viewer.slug);
    await run(reinstate, viewer.slug);
    const { organizationUpdate } = await org.ask(
      viewer,
      `mutation { organizationUpdate(input: { name: "New", expectedVersion: 0 }) { success userErrors {
         code ... on ConflictError { changedFields current { ... on Organization { name version } } } } } }`,
    );
    expect(organizationUpdate.userErrors).toEqual([
      { code: 'CONFLICT', changedFields: [], current: { name: 'Acme', version: 3 } },
    ]);
  });

  it('changes nothing the second time', async () => {
    const { orgId, slug } = await anOrganization();
    expect(await run(reinstate, slug)).toBe(`${slug} was not suspended`);
    await run(suspend, slug);
    expect(await run(suspend, slug)).toBe(`${slug} is suspended already`);
    expect(await factsOf(orgId)).toHaveLength(1);
  });

  it('must name exactly one', async () => {
    const [one, two] = [await anOrganization(), await anOrganization()];
    await behind.query('update organizations set slug = $1 where org_id = any($2)', [
      'twins',
      [one.orgId, two.orgId],
    ]);
    await expect(run(suspend, 'twins')).rejects.toThrow('several organisations have the short name "twins"');
    await expect(run(suspend, 'nobody')).rejects.toThrow('there is no organisation "nobody"');
    await expect(run(suspend)).rejects.toThrow('name one organisation');
    await expect(run(suspend, one.orgId, two.orgId)).rejects.toThrow('name one organisation');
    expect([await rowOf(one.orgId), await rowOf(two.orgId)]).toMatchObject([
      { status: 'ACTIVE' },
      { status: 'ACTIVE' },
    ]);
    await run(suspend, two.orgId);
    expect([await rowOf(one.orgId), await rowOf(two.orgId)]).toMatchObject([
      { status: 'ACTIVE' },
      { status: 'SUSPENDED' },
    ]);
  });

  it('suspends once when two do at the same moment', async () => {
    const { orgId, slug } = await anOrganization();
    await Promise.all([run(suspend, slug), run(suspend, slug), run(suspend, orgId)]);
    expect(await factsOf(orgId)).toHaveLength(1);
    expect(await rowOf(orgId)).toMatchObject({ version: 2 });
  });
});
