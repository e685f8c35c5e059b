/**
 * What `@shared` promises, tried on every field that bears it: whoever it says read the same are asked, each alone, and their answers
 * are compared. A field that is marked and not reached here fails the test.
 */
import { readFileSync } from 'node:fs';
import { parseKeyRing } from '@taskflow/kit/config';
import { CONTEXT_HEADER, signContext, type ViewerGroup } from '@taskflow/kit/identity';
import { covers, marksIn } from '@taskflow/kit/shared';
import { readNotificationConfig } from '@taskflow/notification/config';
import { readOrgConfig } from '@taskflow/org/config';
import type { Subgraph } from '@taskflow/prisma/databases';
import { readTaskConfig } from '@taskflow/task/config';
import { readUserConfig } from '@taskflow/user/config';
import {
  buildSchema,
  type GraphQLNamedType,
  getNamedType,
  isLeafType,
  isObjectType,
  isUnionType,
  parse,
} from 'graphql';
import { beforeAll, describe, expect, test } from 'vitest';
import { aMember, anOrg, aProject, aTask, type TestPerson, type TestRole } from '../../kit/seed.ts';
import { openSocket, type TestSubscription } from '../../kit/socket.ts';
import { aSupergraph, type TestSupergraph } from '../../kit/supergraph.ts';

const read = (name: string) =>
  readFileSync(new URL(`../../../schema/${name}.graphql`, import.meta.url), 'utf8');
const marks = marksIn(parse(read('supergraph')));
const schema = buildSchema(read('api'));

/** A position and nothing else is in it; it comes when a cursor has grown too old, which takes three days. */
const NOT_TRIED = ['ResyncRequired.cursor', 'ResyncRequired.reason'];
const DEPTH_MAX = 3;

type Value = Record<string, unknown>;

function selectionOf(type: GraphQLNamedType, depth = 0): string {
  if (isUnionType(type)) {
    return `__typename ${type
      .getTypes()
      .map((one) => `... on ${one.name} { ${selectionOf(one, depth)} }`)
      .join(' ')}`;
  }
  if (!isObjectType(type)) throw new Error(`${type.name} cannot be selected from`);
  return markedFieldsOf(type.name)
    .map(({ name, type: result }) => {
      if (isLeafType(result)) return name;
      return depth < DEPTH_MAX ? `${name} { __typename ${selectionOf(result, depth + 1)} }` : '';
    })
    .join(' ');
}

function markedFieldsOf(typeName: string): { name: string; type: GraphQLNamedType }[] {
  const type = schema.getType(typeName);
  if (!isObjectType(type)) return [];
  return Object.values(type.getFields())
    .filter(({ name }) => covers(marks.get(`${typeName}.${name}`) ?? null, 'ORG_ADMIN'))
    .map(({ name, type }) => ({ name, type: getNamedType(type) }));
}

const tried = new Set<string>();

/** Holds every marked field that both answers reach and that is the same `among` those who gave them. */
function compare(type: string, one: Value, other: Value, among: 'TENANT' | TestRole): void {
  for (const { name, type: result } of markedFieldsOf(type)) {
    const coordinate = `${type}.${name}`;
    const [left, right] = [one[name], other[name]];
    if (left === undefined || right === undefined) continue;
    const reach = marks.get(coordinate) ?? null;
    if (among === 'TENANT' ? reach?.by === 'TENANT' : covers(reach, among)) {
      tried.add(`${coordinate} ${reach?.by}`);
      if (isLeafType(result)) expect([coordinate, left]).toEqual([coordinate, right]);
      else expect([coordinate, left === null]).toEqual([coordinate, right === null]);
    }
    if (left && right && !isLeafType(result)) {
      const { __typename } = left as { __typename: string };
      compare(__typename, left as Value, right as Value, among);
    }
  }
}

const EVENTS = `subscription { taskEvents { ${selectionOf(schema.getType('TaskEvent') as GraphQLNamedType)} } }`;
/** The same with a field that is the viewer's own: nobody shares it. */
const OWN_EVENTS = EVENTS.replace('task {', 'task { viewerCanUpdate');
const ROLES = ['ORG_ADMIN', 'MANAGER', 'MEMBER', 'GUEST'] as const;

let supergraph: TestSupergraph;
let ada: TestPerson;
/** Two of each role, the founder among them. */
const people = new Map<TestRole, readonly [TestPerson, TestPerson]>();

beforeAll(async () => {
  supergraph = await aSupergraph();
  ada = await anOrg(supergraph.client);
  people.set('ORG_ADMIN', [ada, await aMember(ada, 'ORG_ADMIN', 'Bob')]);
  for (const role of ['MANAGER', 'MEMBER', 'GUEST'] as const)
    people.set(role, [await aMember(ada, role), await aMember(ada, role)]);
}, 60_000);

async function listen({ accessToken }: TestPerson, query: string): Promise<TestSubscription> {
  const subscription = (await openSocket(supergraph.url, accessToken)).subscribe(query);
  heartbeats.push(await subscription.nextOf('StreamHeartbeat'));
  return subscription;
}

const heartbeats: Value[] = [];
const peopleOf = (role: TestRole) => people.get(role) as readonly [TestPerson, TestPerson];

test('a shared field is the same for everybody among whom it is shared', async () => {
  const project = await aProject(ada);
  const admins = peopleOf('ORG_ADMIN');
  const alone = await Promise.all(admins.map((person) => listen(person, OWN_EVENTS)));
  const together = await Promise.all(admins.map((person) => listen(person, EVENTS)));
  for (const beat of heartbeats.slice(1)) compare('StreamHeartbeat', heartbeats[0] ?? {}, beat, 'TENANT');

  for (const role of ROLES) {
    const [person] = peopleOf(role);
    const theirs = role === 'ORG_ADMIN' ? null : await listen(person, OWN_EVENTS);
    await aTask(ada, { assigneeId: person.id, projectId: project.id, description: 'What to do' } as never);
    const [first, second, shared, alike] = await Promise.all(
      [...alone, ...together].map((subscription) => subscription.nextOf('TaskChange')),
    );
    expect(first.task.assignee.name).toBe(person.name);
    for (const other of [second, shared]) {
      compare('TaskChange', first, other, 'ORG_ADMIN');
      compare('TaskChange', first, other, 'TENANT');
    }
    expect(alike).toEqual(shared);
    if (theirs) compare('TaskChange', first, await theirs.nextOf('TaskChange'), 'TENANT');
  }

  const PROJECT = `query Project($id: ID!) { project(id: $id) { __typename ${selectionOf(schema.getType('Project') as GraphQLNamedType)} } }`;
  for (const role of ROLES) {
    const [one, other] = await Promise.all(
      peopleOf(role).map(
        async ({ client }) =>
          (await client.ask<{ project: Value | null }>(PROJECT, { id: project.id })).project,
      ),
    );
    expect(one === null).toBe(other === null);
    if (one && other) compare('Project', one, other, role);
  }
  const reached = new Set([...tried].map((entry) => entry.split(' ')[0]));
  expect([...marks.keys()].filter((coordinate) => !reached.has(coordinate)).toSorted()).toEqual(
    ['Subscription.taskEvents', ...NOT_TRIED].toSorted(),
  );
}, 60_000);

test('two administrators cost the subgraphs what one does', async () => {
  const admins = peopleOf('ORG_ADMIN');
  const together = await Promise.all(admins.map((person) => listen(person, EVENTS)));
  supergraph.counts.reset();
  await aTask(ada);
  await Promise.all(together.map((subscription) => subscription.nextOf('TaskChange')));
  const { calls, statements } = supergraph.counts;
  const reads = statements.task.filter((text) => /^\s*select t\.id, t\.key/.test(text));
  expect({
    reads: reads.length,
    user: calls.user.filter((text) => text.includes('_entities')).length,
  }).toEqual({
    reads: 1,
    user: 1,
  });
});

describe('as a group of viewers, a subgraph is asked in vain for', () => {
  const ENTITIES = 'query ($r: [_Any!]!) { _entities(representations: $r) { ... on Task { title FIELD } } }';

  async function ask(subgraph: Subgraph, viewerGroup: ViewerGroup, query: string, variables = {}) {
    const body = JSON.stringify({ query, variables });
    const keys = {
      user: readUserConfig(supergraph.env).USER_CONTEXT_KEY,
      org: readOrgConfig(supergraph.env).ORG_CONTEXT_KEY,
      task: readTaskConfig(supergraph.env).TASK_CONTEXT_KEY,
      notification: readNotificationConfig(supergraph.env).NOTIFICATION_CONTEXT_KEY,
    };
    const claims = { viewer: null, viewerGroup, requestId: 'a-group', audience: subgraph };
    const context = signContext(parseKeyRing(keys[subgraph]), claims, body);
    const headers = { 'content-type': 'application/json', [CONTEXT_HEADER]: context };
    const response = await fetch(supergraph.subgraphUrls[subgraph], { method: 'POST', headers, body });
    return (await response.json()) as {
      data?: { _entities: (Value | null)[] };
      errors?: { extensions: { code: string } }[];
    };
  }

  const admins = () => ({ orgId: ada.organizationId, role: 'ORG_ADMIN' }) as const;

  test.each<[Subgraph, string]>([
    ['task', '{ tasks { nodes { id } } }'],
    ['task', 'mutation { taskDelete(input: { id: "x" }) { success } }'],
    ['user', '{ viewer { id } }'],
    ['user', '{ users { nodes { id } } }'],
    ['org', '{ organization { id } }'],
    ['notification', '{ notificationCounts { unread } }'],
  ])('anything but entities and subscriptions: %s %s', async (subgraph, query) => {
    const { data, errors } = await ask(subgraph, admins(), query);
    expect([data ?? null, errors?.[0]?.extensions.code]).toEqual([null, 'UNAUTHENTICATED']);
  });

  test('a field without the mark, and a task where the role sees tasks of its own only', async () => {
    const { id } = await aTask(ada);
    const variables = { r: [{ __typename: 'Task', id }] };
    const shared = ENTITIES.replace('FIELD', '');
    expect((await ask('task', admins(), shared, variables)).data?._entities[0]).toMatchObject({
      title: expect.any(String),
    });
    const own = await ask('task', admins(), ENTITIES.replace('FIELD', 'viewerCanUpdate'), variables);
    expect([own.data ?? null, own.errors?.[0]?.extensions.code]).toEqual([null, 'UNAUTHENTICATED']);
    const { orgId } = admins();
    for (const group of [{ orgId }, { orgId, role: 'MEMBER' }, { orgId, role: 'GUEST' }] as const)
      expect((await ask('task', group, shared, variables)).data?._entities).toEqual([null]);
    const elsewhere = { ...admins(), orgId: '01900000-0000-7000-8000-000000000000' };
    expect((await ask('task', elsewhere, shared, variables)).data?._entities).toEqual([null]);
  });
});
