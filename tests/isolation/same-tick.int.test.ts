/**
 * Two tenants who ask for each other's tasks at the same moment, over and over: whatever is batched, cached or pooled
 * between them would sooner or later hand one of them a row of the other. Each question mixes own and foreign ids, so
 * that a wall that hides too much is noticed as well.
 */
import { randomUUID } from 'node:crypto';
import type { Viewer } from '@taskflow/kit/identity';
import { readTaskConfig } from '@taskflow/task/config';
import { createService } from '@taskflow/task/service';
import { expect, it } from 'vitest';
import type { Answer } from '../kit/client.ts';
import { anOrg, aTask, type TestTask } from '../kit/seed.ts';
import { aSubgraph, aViewer } from '../kit/subgraph.ts';
import { aSupergraph } from '../kit/supergraph.ts';

/** A batch that mixes tenants does so at the first meeting; a pool that hands on a dirty context, in some hundred. */
const ROUNDS = 500;

type Send = (query: string, variables: object) => Promise<Answer>;

interface Tenant {
  name: string;
  send: Send;
  taskId: string;
}

const BY_ID =
  'query Q($own: ID!, $foreign: ID!) { foreign: task(id: $foreign) { title } own: task(id: $own) { title } }';
const ENTITIES = `query Q($refs: [_Any!]!) { _entities(representations: $refs) { ... on Task { title } } }`;
const LIST = '{ tasks { nodes { title } } }';
const CHANGE = `mutation Q($foreign: ID!) { taskUpdate(input: { id: $foreign, title: "mine" }) { success userErrors { code } } }`;

const BY_ID_ANSWER = ({ name }: Tenant) => ({ foreign: null, own: { title: name } });
const LIST_ANSWER = ({ name }: Tenant) => ({ tasks: { nodes: [{ title: name }] } });
const REFUSAL = { taskUpdate: { success: false, userErrors: [{ code: 'NOT_FOUND' }] } };

/** Asks as both tenants at once, and tells the first answer that is not the tenant's own. */
async function meet(
  one: Tenant,
  other: Tenant,
  ask: (self: Tenant, them: Tenant) => Promise<[unknown, unknown]>,
) {
  for (let round = 0; round < ROUNDS; round++) {
    const pairs = await Promise.all([ask(one, other), ask(other, one)]);
    for (const [answer, expected] of pairs) expect(answer, `round ${round}`).toEqual(expected);
  }
}

it('one task service keeps two tenants apart who ask in the same tick, 500 rounds', async () => {
  const service = await aSubgraph('task', (env, deps) => createService(readTaskConfig(env), deps));
  const aTenant = async (name: string): Promise<Tenant> => {
    const viewer: Viewer = aViewer('ORG_ADMIN');
    const made = await service.ask(
      viewer,
      'mutation M($title: String!) { taskCreate(input: { title: $title }) { task { id } } }',
      { title: name },
    );
    return {
      name,
      send: (query, variables) => service.send(viewer, query, variables),
      taskId: made.taskCreate.task.id,
    };
  };
  const [ada, mallory] = [await aTenant('Ada'), await aTenant('Mallory')];
  let turn = 0;
  await meet(ada, mallory, async (self, them) => {
    const [own, foreign] = [self.taskId, them.taskId];
    const refs = [foreign, own, randomUUID(), foreign].map((id) => ({ __typename: 'Task', id }));
    const questions: [string, object, object][] = [
      [ENTITIES, { refs }, { _entities: [null, { title: self.name }, null, null] }],
      [BY_ID, { own, foreign }, BY_ID_ANSWER(self)],
      [LIST, {}, LIST_ANSWER(self)],
      [CHANGE, { foreign }, REFUSAL],
    ];
    // Both tenants of a round ask the same question.
    const [query, variables, expected] = questions[Math.floor(turn++ / 2) % questions.length] ?? [
      LIST,
      {},
      {},
    ];
    return [(await self.send(query, variables)).data, expected];
  });
}, 60_000);

it('one supergraph keeps two tenants apart who ask in the same tick, 500 rounds', async () => {
  const supergraph = await aSupergraph();
  const aTenant = async (name: string): Promise<Tenant> => {
    const person = await anOrg(supergraph.client, name);
    const task: TestTask = await aTask(person, { title: name, assigneeId: person.id });
    return { name, send: (query, variables) => person.client.send(query, variables), taskId: task.id };
  };
  const [ada, mallory] = [await aTenant('Ada'), await aTenant('Mallory')];
  const query =
    'query Q($own: ID!, $foreign: ID!) { foreign: task(id: $foreign) { title assignee { name } } own: task(id: $own) { title assignee { name openTaskCount } } }';
  await meet(ada, mallory, async (self, them) => {
    const { data } = await self.send(query, { own: self.taskId, foreign: them.taskId });
    const own = { title: self.name, assignee: { name: self.name, openTaskCount: 1 } };
    return [data, { foreign: null, own }];
  });
}, 120_000);
