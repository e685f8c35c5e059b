/**
 * What the router keeps of subgraphs' answers, in front of the real ones: whether it was found or asked for cannot be told from
 * an answer, and nobody finds what was kept for somebody else.
 */
import { beforeAll, expect, it } from 'vitest';
import { lookBehind } from '../kit/behind.ts';
import { aMember, anOrg, aProject, aTask, aTeam, joinsTeam, type TestPerson } from '../kit/seed.ts';
import { aSupergraph, type TestSupergraph } from '../kit/supergraph.ts';
import { until } from '../kit/until.ts';

let supergraph: TestSupergraph;
/** An administrator, a member of a team, somebody who is in none, and a guest; in two organisations. */
let people: TestPerson[];
let ids: string[];

beforeAll(async () => {
  // Everything is kept, hint or not: for its caller alone.
  supergraph = await aSupergraph({ env: { ROUTER_CACHE_DEFAULT_MAX_AGE_S: '60' }, isApart: true });
  const sides = await Promise.all([aSide('Ada'), aSide('Bob')]);
  people = sides.flatMap((side) => side.people);
  ids = sides.flatMap((side) => side.ids);
  await lookBehind(supergraph).settled();
}, 120_000);

async function aSide(name: string) {
  const founder = await anOrg(supergraph.client, name);
  const [member, other, guest] = await Promise.all([
    aMember(founder, 'MEMBER', `${name}-Member`),
    aMember(founder, 'MEMBER', `${name}-Other`),
    aMember(founder, 'GUEST', `${name}-Guest`),
  ]);
  const team = await aTeam(founder);
  await joinsTeam(founder, team.id, member);
  const project = await aProject(founder, { teamIds: [team.id] });
  const task = await aTask(founder, { projectId: project.id, assigneeId: member.id });
  return { people: [founder, member, other, guest], ids: [team.id, project.id, task.id, member.id] };
}

const QUERIES = [
  '{ viewer { id name email role organization { id name slug plan { name } viewerCanUpdate } } }',
  '{ tasks(first: 20) { nodes { id title assignee { id name } project { id name } } totalCount } }',
  '{ teams(first: 20) { nodes { id name members(first: 5) { nodes { user { id name } } } } } }',
  '{ users(first: 20) { nodes { id name role } } }',
];
const BY_ID =
  'query ($id: ID!) { task(id: $id) { id title } project(id: $id) { id name } team(id: $id) { id name } user(id: $id) { id name } }';

it('an answer that was kept is byte for byte the one that was asked for, for every role in both organisations', async () => {
  const asked = [
    ...QUERIES.map((query) => ({ query, variables: {} })),
    ...ids.map((id) => ({ query: BY_ID, variables: { id } })),
  ];
  const texts = (round: TestPerson[]) =>
    Promise.all(
      round.map(async ({ client }) => {
        const answers: string[] = [];
        for (const { query, variables } of asked)
          answers.push(plain((await client.send(query, variables)).text));
        return answers;
      }),
    );
  const missed = await texts(people);
  const found = await texts(people);
  const foundElsewhere = await texts(people.toReversed());
  expect(found).toEqual(missed);
  expect(foundElsewhere.toReversed()).toEqual(missed);
  for (const [at, answers] of missed.entries()) {
    const theirs = people.filter((_unused, other) => Math.floor(other / 4) !== Math.floor(at / 4));
    for (const { id, organizationId } of theirs)
      expect(answers.join()).not.toMatch(new RegExp(`${id}|${organizationId}`));
  }
  const { cache } = await health();
  expect(cache.hits).toBeGreaterThan(asked.length * people.length);
});

/** Request ids are of the request. */
const plain = (text: string) => text.replace(/"requestId":"[^"]*"/g, '');

async function health(): Promise<{ cache: { hits: number } }> {
  const answer = await fetch(supergraph.url.replace('/graphql', '/health'));
  return (await answer.json()) as { cache: { hits: number } };
}

it('a change is seen by whoever made it at once, and at another replica as soon as its fact is told', async () => {
  const [founder, member] = people as [TestPerson, TestPerson];
  const elsewhere = (await supergraph.anotherRouter()).as(member.accessToken);
  const nameOf = async (client: TestPerson['client']) =>
    (await client.ask<{ viewer: { organization: { name: string } } }>('{ viewer { organization { name } } }'))
      .viewer.organization.name;
  for (let round = 1; round <= 3; round++) {
    await Promise.all([nameOf(founder.client), nameOf(elsewhere), nameOf(elsewhere)]);
    const name = `Acme ${round} ${founder.id}`;
    await founder.client.ask(
      'mutation ($input: OrganizationUpdateInput!) { organizationUpdate(input: $input) { success userErrors { code message } } }',
      { input: { name } },
    );
    expect(await nameOf(founder.client)).toBe(name);
    await until('the fact', async () => (await nameOf(elsewhere)) === name);
  }
});
