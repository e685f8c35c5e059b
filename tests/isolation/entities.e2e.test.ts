/**
 * The entities of every subgraph, asked for on its own port as the router asks: another tenant's ids answer like ids that
 * do not exist, byte for byte, also when both tenants ask for each other's in the same moment.
 *
 * Which entities and fields there are is read from the SDL: a new entity without a scene fails here.
 */
import { randomUUID } from 'node:crypto';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { parseKeyRing } from '@taskflow/kit/config';
import { CONTEXT_HEADER, type Role, signContext, type Viewer } from '@taskflow/kit/identity';
import { readNotificationConfig } from '@taskflow/notification/config';
import { readOrgConfig } from '@taskflow/org/config';
import { subgraphs as NAMES, type Subgraph } from '@taskflow/prisma/databases';
import { subgraphSdl } from '@taskflow/schema/sdl';
import { readTaskConfig } from '@taskflow/task/config';
import { readUserConfig } from '@taskflow/user/config';
import {
  type GraphQLField,
  type GraphQLObjectType,
  getNamedType,
  isLeafType,
  isObjectType,
  isRequiredArgument,
  isUnionType,
  parse,
} from 'graphql';
import { beforeAll, describe, expect, it } from 'vitest';
import { aMember, anOrg, aProject, aTask, aTeam, joinsTeam, type TestPerson } from '../kit/seed.ts';
import { aSupergraph, type TestSupergraph } from '../kit/supergraph.ts';
import { until } from '../kit/until.ts';

/** What one tenant has, by the type of the entity. */
type Belongings = Readonly<Record<string, string>>;

interface Tenant {
  viewer: Viewer;
  ids: Belongings;
}

/** Two hundred questions in all, twenty at once. The very same tick is tested where it can be had: at the database. */
const ROUNDS = 10;

interface Question {
  subgraph: Subgraph;
  typename: string;
  selection: string;
}

let supergraph: TestSupergraph;
let ours: Tenant;
let theirs: Tenant;

beforeAll(async () => {
  supergraph = await aSupergraph();
  [ours, theirs] = await Promise.all([aTenant(), aTenant()]);
});

/** Somebody with a team, a project, a task and a notice of each kind of thing to see. */
async function aTenant(): Promise<Tenant> {
  const ada = await anOrg(supergraph.client, 'Ada');
  const grace = await aMember(ada, 'MEMBER', 'Grace');
  const team = await aTeam(ada);
  await joinsTeam(ada, team.id, ada);
  const project = await aProject(ada, { teamIds: [team.id] });
  const task = await aTask(grace, { projectId: project.id, assigneeId: ada.id });
  const noticeId = await until('the notice', async () => {
    const { notifications } = await ada.client.ask<{ notifications: { nodes: { id: string }[] } }>(
      '{ notifications { nodes { id } } }',
    );
    return notifications.nodes[0]?.id;
  });
  return {
    viewer: viewerOf(ada, 'ORG_ADMIN'),
    ids: {
      ...{ User: ada.id, Organization: ada.organizationId, Team: team.id, Project: project.id },
      ...{ Task: task.id, Notification: noticeId, AuditLog: ada.organizationId },
    },
  };
}

function viewerOf(person: TestPerson, role: Role): Viewer {
  return { orgId: person.organizationId, userId: person.id, role, sessionId: randomUUID() };
}

/** Every entity that a subgraph answers, with every field of it that needs no argument. */
function questionsOf(subgraph: Subgraph): Question[] {
  const schema = buildSubgraphSchema(parse(subgraphSdl(subgraph)));
  const union = schema.getType('_Entity');
  const answered = isUnionType(union) ? union.getTypes() : [];
  return answered
    .map((type) => ({ subgraph, typename: type.name, selection: selectionOf(type, 2) }))
    .filter(({ selection }) => selection !== '');
}

function selectionOf(type: GraphQLObjectType, depth: number): string {
  return Object.values(type.getFields())
    .filter(({ name, args }) => name !== 'id' && !args.some(isRequiredArgument))
    .flatMap((field) => fieldOf(field, depth))
    .join(' ');
}

function fieldOf({ name, type }: GraphQLField<unknown, unknown>, depth: number): string[] {
  const named = getNamedType(type);
  if (isLeafType(named)) return [name];
  if (depth === 0 || !isObjectType(named)) return [];
  return [`${name} { __typename ${selectionOf(named, depth - 1)} }`];
}

const RINGS: Readonly<Record<Subgraph, (env: NodeJS.ProcessEnv) => string>> = {
  user: (env) => readUserConfig(env).USER_CONTEXT_KEY,
  org: (env) => readOrgConfig(env).ORG_CONTEXT_KEY,
  task: (env) => readTaskConfig(env).TASK_CONTEXT_KEY,
  notification: (env) => readNotificationConfig(env).NOTIFICATION_CONTEXT_KEY,
};

interface Asked {
  viewer: Viewer;
  question: Question;
  ids: readonly string[];
}

/** The bytes of each entity in the answer, with its id replaced. */
async function ask({ viewer, question, ids }: Asked): Promise<string[]> {
  const { subgraph, typename, selection } = question;
  const representations = ids.map((id) => ({ __typename: typename, id }));
  const query = `query ($representations: [_Any!]!) { _entities(representations: $representations) { ... on ${typename} { ${selection} } } }`;
  const body = JSON.stringify({ query, variables: { representations } });
  const ring = parseKeyRing(RINGS[subgraph](supergraph.env));
  const context = signContext(ring, { viewer, requestId: 'test', audience: subgraph }, body);
  const response = await fetch(supergraph.subgraphUrls[subgraph], {
    method: 'POST',
    headers: { 'content-type': 'application/json', [CONTEXT_HEADER]: context },
    body,
  });
  const { data, errors } = (await response.json()) as { data: { _entities: unknown[] }; errors?: unknown };
  expect(errors, `${subgraph}.${typename}`).toBeUndefined();
  return data._entities.map((entity, i) => JSON.stringify(entity).replaceAll(ids[i] ?? '', 'ID'));
}

const idOf = ({ ids }: Tenant, { typename }: Question): string => ids[typename] ?? '';

describe('entities of another tenant', () => {
  it('have a scene here, each of them', () => {
    const typenames = NAMES.flatMap(questionsOf).map(({ typename }) => typename);
    expect([...new Set(typenames)].sort()).toEqual(Object.keys(ours.ids).sort());
  });

  it.each(NAMES)('answer on the port of %s like what does not exist, in every field', async (subgraph) => {
    for (const question of questionsOf(subgraph)) {
      const ids = [idOf(ours, question), idOf(theirs, question), randomUUID()];
      const [mine, foreign, absent] = await ask({ viewer: ours.viewer, question, ids });
      const told = `${subgraph}.${question.typename}`;
      expect(foreign, told).toBe(absent);
      expect(mine, told).not.toBe(absent);
    }
  });

  it('stay theirs when both tenants ask for each other’s in the same moment, again and again', async () => {
    // The audit log tells of being read: it is never the same twice.
    const steady = NAMES.flatMap(questionsOf).filter(({ typename }) => typename !== 'AuditLog');
    const asked = steady.flatMap((question) =>
      [ours, theirs].map(({ viewer }) => ({
        ...{ viewer, question, ids: [idOf(ours, question), idOf(theirs, question)] },
      })),
    );
    const oneByOne: string[][] = [];
    for (const one of asked) oneByOne.push(await ask(one));
    for (let round = 0; round < ROUNDS; round++) {
      expect(await Promise.all(asked.map(ask))).toEqual(oneByOne);
    }
  });
});
