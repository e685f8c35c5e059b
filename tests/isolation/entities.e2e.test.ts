/**
 * The entities of every subgraph, asked for on its own port as the router asks, by every role: what the role does not see,
 * another tenant's, what does not exist and what is no id at all answer alike, byte for byte; also when both tenants ask
 * for each other's in the same moment.
 *
 * Which entities and fields there are is read from the SDL: a new entity without a scene fails here.
 */
import { randomUUID } from 'node:crypto';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { parseKeyRing } from '@taskflow/kit/config';
import { CONTEXT_HEADER, signContext, type Viewer } from '@taskflow/kit/identity';
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
import type { TestPerson } from '../kit/seed.ts';
import { aSupergraph, type TestSupergraph } from '../kit/supergraph.ts';
import { personRoleOf, type Sides, sideOf } from './matrix/cases.ts';
import { aScene, type Scene } from './matrix/scene.ts';
import { ROLES, type Role, type Thing } from './rules/rule.ts';
import { entities, isLater } from './rules/table.ts';

/** A role of the table, and the context that the router would sign for it. */
interface Caller {
  role: Role;
  viewer: Viewer | null;
  scene: Scene;
}

/** Two hundred questions in all, twenty at once. The very same tick is tested where it can be had: at the database. */
const ROUNDS = 10;

interface Question {
  subgraph: Subgraph;
  typename: string;
  selection: string;
}

let supergraph: TestSupergraph;
let sides: Sides;

beforeAll(async () => {
  supergraph = await aSupergraph();
  const [ours, theirs] = await Promise.all(['Ours', 'Theirs'].map((name) => aScene(supergraph.client, name)));
  if (!ours || !theirs) throw new Error('two scenes were set');
  sides = { ours, theirs };
});

function callerOf(role: Role): Caller {
  const scene = sideOf(role, sides);
  if (role === 'ANONYMOUS') return { role, scene, viewer: null };
  const personRole = personRoleOf(role);
  const viewer = viewerOf(scene.people[personRole], personRole);
  return { role, scene, viewer: role === 'API_KEY' ? { ...viewer, scopes: ['READ', 'WRITE'] } : viewer };
}

function viewerOf(person: TestPerson, role: Viewer['role']): Viewer {
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
  viewer: Viewer | null;
  question: Question;
  ids: readonly string[];
}

async function send({ viewer, question, ids }: Asked): Promise<{ status: number; text: string }> {
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
  return { status: response.status, text: await response.text() };
}

/** Counted by the routers, and brought to the database a while after the calls. */
const COUNTED_LATER = /"apiCalls":\{[^}]*\}/g;

/** The bytes of each entity in the answer, with its id replaced. */
async function ask(asked: Asked): Promise<string[]> {
  const { text } = await send(asked);
  const { data, errors } = JSON.parse(text) as { data: { _entities: unknown[] }; errors?: unknown };
  expect(errors, `${asked.question.subgraph}.${asked.question.typename}`).toBeUndefined();
  return data._entities.map((entity, i) =>
    JSON.stringify(entity)
      .replaceAll(asked.ids[i] ?? '', 'ID')
      .replace(COUNTED_LATER, ''),
  );
}

/** Of people it is the caller themselves: others are partly hidden from everybody. */
const ownId = (scene: Scene, { typename }: Question, role: Role = 'ORG_ADMIN'): string => {
  const { own, person } = scene.mineOf(personRoleOf(role));
  return typename === 'User' ? person.id : own(typename as Thing);
};

/**
 * Everybody knows by reference who else works on what they see: an invisible person is one who cannot be found or named
 * in a write.
 */
const invisibleId = (scene: Scene, { typename }: Question, role: Role): string | null =>
  typename === 'User' ? null : scene.invisible(typename as Thing, personRoleOf(role));

const SIGNED_IN = ROLES.filter((role) => role !== 'ANONYMOUS');

describe('entities', () => {
  it.each(NAMES)(
    'of %s answer every role alike for what it does not see, in every field',
    async (subgraph) => {
      for (const question of questionsOf(subgraph)) {
        for (const { role, viewer, scene } of SIGNED_IN.map(callerOf)) {
          const other = role === 'OUTSIDER' ? sides.ours : sides.theirs;
          const invisible = invisibleId(scene, question, role);
          const ids = [
            ...[randomUUID(), ownId(scene, question, role), ownId(other, question), 'no-id-at-all'],
            ...(invisible === null ? [] : [invisible]),
          ];
          const [absent, own, ...strange] = await ask({ viewer, question, ids });
          const told = `${subgraph}.${question.typename} for ${role}`;
          for (const [i, answer] of strange.entries()) {
            expect(answer, `${told}: ${['foreign', 'malformed', 'invisible'][i]}`).toBe(absent);
          }
          // At home, an outsider is an ORG_ADMIN.
          const row = entities.get(`${subgraph}.${question.typename}`);
          const cell = row?.[role === 'OUTSIDER' ? 'ORG_ADMIN' : role];
          if (isLater(cell)) continue;
          if (cell === 'yes') expect(own, told).not.toBe(absent);
          else expect(own, told).toBe(absent);
        }
      }
    },
  );

  it('are answered to nobody who is not signed in', async () => {
    for (const question of NAMES.flatMap(questionsOf)) {
      const { viewer } = callerOf('ANONYMOUS');
      const { text } = await send({ viewer, question, ids: [ownId(sides.ours, question)] });
      expect(JSON.parse(text).errors?.[0]?.extensions.code, question.typename).toBe('UNAUTHENTICATED');
    }
  });

  it('stay theirs when both tenants ask for each other’s in the same moment, again and again', async () => {
    const [our, their] = [callerOf('ORG_ADMIN'), callerOf('OUTSIDER')];
    // The audit log tells of being read: it is never the same twice.
    const steady = NAMES.flatMap(questionsOf).filter(({ typename }) => typename !== 'AuditLog');
    const asked = steady.flatMap((question) =>
      [our, their].map(({ viewer }) => ({
        ...{ viewer, question, ids: [ownId(our.scene, question), ownId(their.scene, question)] },
      })),
    );
    const oneByOne: string[][] = [];
    for (const one of asked) oneByOne.push(await ask(one));
    for (let round = 0; round < ROUNDS; round++) {
      expect(await Promise.all(asked.map(ask))).toEqual(oneByOne);
    }
  });
});
