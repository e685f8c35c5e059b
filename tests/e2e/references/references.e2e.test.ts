/**
 * What refers to something in another subgraph: accepted however short a time ago that was made, although the fact of it
 * travels through Redis; and refused with one answer for everything that the tenant does not have.
 */
import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Behind, lookBehind } from '../../kit/behind.ts';
import { bytesOf } from '../../kit/client.ts';
import { aMember, anOrg, aProject, aTask, aTeam, type Named, type TestPerson } from '../../kit/seed.ts';
import { aSupergraph, type TestSupergraph } from '../../kit/supergraph.ts';

let supergraph: TestSupergraph;
let ada: TestPerson;
let mallory: TestPerson;
let behind: Behind;
beforeAll(async () => {
  supergraph = await aSupergraph();
  behind = lookBehind(supergraph);
  ada = await anOrg(supergraph.client, 'Ada');
  mallory = await anOrg(supergraph.client, 'Mallory');
});

/** How often `attempt` was granted of `count` times, and the first refusal. */
async function granted(count: number, attempt: () => Promise<unknown>): Promise<[number, string]> {
  let successes = 0;
  let firstRefusal = '';
  for (let time = 0; time < count; time++) {
    try {
      await attempt();
      successes++;
    } catch (error) {
      firstRefusal ||= String(error);
    }
  }
  return [successes, firstRefusal];
}

describe('what was made a moment before', () => {
  it('takes a task: a project, 100 of 100 times', async () => {
    const attempt = async () => aTask(ada, { projectId: (await aProject(ada)).id });
    expect(await granted(100, attempt)).toEqual([100, '']);
  }, 60_000);

  it('takes a task: a person who accepted an invite, 30 of 30 times', async () => {
    const attempt = async () => aTask(ada, { assigneeId: (await aMember(ada)).id });
    expect(await granted(30, attempt)).toEqual([30, '']);
  }, 60_000);

  it('makes its first team, project and task: an organisation, 10 of 10 times', async () => {
    const attempt = async () => {
      const hopper = await anOrg(supergraph.client, 'Hopper');
      const team = await aTeam(hopper);
      const project = await aProject(hopper, { teamIds: [team.id] });
      return aTask(hopper, { projectId: project.id, assigneeId: hopper.id });
    };
    expect(await granted(10, attempt)).toEqual([10, '']);
  }, 60_000);
});

const REFUSAL = 'success userErrors { code message field }';

describe('what the tenant does not have', () => {
  interface Ids {
    project: string;
    person: string;
    team: string;
  }
  const uses: [string, string, (ids: Ids, own: Named) => object, string][] = [
    ['taskCreate', 'TaskCreateInput', ({ project }) => ({ title: 'x', projectId: project }), 'projectId'],
    ['taskCreate', 'TaskCreateInput', ({ person }) => ({ title: 'x', assigneeId: person }), 'assigneeId'],
    ['taskUpdate', 'TaskUpdateInput', ({ project }, { id }) => ({ id, projectId: project }), 'projectId'],
    ['taskUpdate', 'TaskUpdateInput', ({ person }, { id }) => ({ id, assigneeId: person }), 'assigneeId'],
    [
      'projectCreate',
      'ProjectCreateInput',
      ({ team }) => ({ name: 'x', key: 'NEW', teamIds: [team] }),
      'teamIds',
    ],
    ['teamCreate', 'TeamCreateInput', ({ team }) => ({ name: 'x', parentTeamId: team }), 'parentTeamId'],
  ];

  it('is refused with the same bytes whether it is another tenant’s, absent or no id at all', async () => {
    const own = await aTask(ada);
    const foreign: Ids = {
      project: (await aProject(mallory)).id,
      person: mallory.id,
      team: (await aTeam(mallory)).id,
    };
    const absent: Ids = { project: randomUUID(), person: randomUUID(), team: randomUUID() };
    const malformed: Ids = { project: 'x', person: 'x', team: 'x' };
    await behind.settled();
    const before = await behind.fingerprints();
    const refusals = uses.map(async ([mutation, type, inputOf, field]) => {
      const query = `mutation M($input: ${type}!) { ${mutation}(input: $input) { ${REFUSAL} } }`;
      const answers = await Promise.all(
        [foreign, absent, malformed].map((ids) => ada.client.send(query, { input: inputOf(ids, own) })),
      );
      const [first, ...others] = answers.map(bytesOf);
      expect(JSON.parse(answers[0]?.text ?? ''), mutation).toMatchObject({
        data: { [mutation]: { success: false, userErrors: [{ code: 'NOT_FOUND', field }] } },
      });
      expect(others, mutation).toEqual([first, first]);
    });
    await Promise.all(refusals);
    expect(await behind.fingerprints()).toEqual(before);
  });

  it('costs the same statements to refuse when it is another tenant’s as when it is absent', async () => {
    const query = `mutation M($input: TaskCreateInput!) { taskCreate(input: $input) { ${REFUSAL} } }`;
    const { id: foreign } = await aProject(mallory);
    await behind.settled();
    const statementsFor = async (projectId: string) => {
      supergraph.counts.reset();
      await ada.client.send(query, { input: { title: 'x', projectId } });
      // How often it is looked up within 500 ms depends on the moment; that both are waited for does not.
      return new Set(supergraph.counts.statements.task);
    };
    expect(await statementsFor(foreign)).toEqual(await statementsFor(randomUUID()));
  });
});
