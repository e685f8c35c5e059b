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
