/**
 * Fifty tenants at once on one task service with few connections: ten thousand operations, interleaved, each of which asks
 * for own and for foreign things. Every row that comes back must be the asker's own, and every own row must come back.
 */
import { randomInt } from 'node:crypto';
import type { Viewer } from '@taskflow/kit/identity';
import { readTaskConfig } from '@taskflow/task/config';
import { createService } from '@taskflow/task/service';
import { expect, it } from 'vitest';
import { aSubgraph, aViewer } from '../kit/subgraph.ts';

const TENANTS = 50;
const OPERATIONS = 10_000;
/** At once; many times the connections of the pool, so that each is handed from tenant to tenant. */
const LANES = 64;
const CONNECTIONS = '4';

interface Tenant {
  viewer: Viewer;
  name: string;
  taskIds: string[];
}

interface Question {
  query: string;
  variables: object;
  answer: object;
}

/** Every way in which the service reads, and a write that must be refused. */
function questionsOf(self: Tenant, others: readonly Tenant[]): Question[] {
  const [own = ''] = self.taskIds;
  const foreign = others[0]?.taskIds[0] ?? own.replace(/.{12}$/, '0'.repeat(12));
  const mine = { title: self.name };
  const asked = [...others, self, ...others].flatMap((tenant) =>
    tenant.taskIds.map((id) => ({ tenant, id })),
  );
  return [
    {
      query: 'query Q($refs: [_Any!]!) { _entities(representations: $refs) { ... on Task { title } } }',
      variables: { refs: asked.map(({ id }) => ({ __typename: 'Task', id })) },
      answer: { _entities: asked.map(({ tenant }) => (tenant === self ? mine : null)) },
    },
    {
      query:
        'query Q($own: ID!, $foreign: ID!) { foreign: task(id: $foreign) { title } own: task(id: $own) { title } }',
      variables: { own, foreign },
      answer: { foreign: null, own: mine },
    },
    {
      query: '{ tasks(first: 10) { nodes { title } totalCount } }',
      variables: {},
      answer: { tasks: { nodes: [mine, mine], totalCount: 2 } },
    },
    {
      query: '{ tasks(search: "tenant") { nodes { title } } }',
      variables: {},
      answer: { tasks: { nodes: [mine, mine] } },
    },
    {
      query:
        'mutation M($foreign: ID!) { taskUpdate(input: { id: $foreign, title: "taken" }) { success userErrors { code } } }',
      variables: { foreign },
      answer: { taskUpdate: { success: false, userErrors: [{ code: 'NOT_FOUND' }] } },
    },
  ];
}

it('10,000 interleaved operations of 50 tenants answer no foreign row, and no own one is missing', async () => {
  const service = await aSubgraph('task', (env, deps) =>
    createService(readTaskConfig({ ...env, TASK_DATABASE_POOL_SIZE: CONNECTIONS }), deps),
  );
  const tenants = await Promise.all(
    Array.from({ length: TENANTS }, async (_, n): Promise<Tenant> => {
      const viewer = aViewer('ORG_ADMIN');
      const name = `tenant ${n}`;
      const taskIds: string[] = [];
      for (let made = 0; made < 2; made++) {
        const { taskCreate } = await service.ask(
          viewer,
          'mutation M($title: String!) { taskCreate(input: { title: $title }) { task { id } } }',
          { title: name },
        );
        taskIds.push(taskCreate.task.id);
      }
      return { viewer, name, taskIds };
    }),
  );
  const any = (): Tenant => tenants[randomInt(TENANTS)] as Tenant;

  async function operate(n: number): Promise<void> {
    const self = any();
    const others = Array.from({ length: 3 }, any).filter((other) => other !== self);
    const questions = questionsOf(self, others);
    const { query, variables, answer } = questions[n % questions.length] as Question;
    expect(await service.ask(self.viewer, query, variables), self.name).toEqual(answer);
  }

  let next = 0;
  const lane = async () => {
    while (next < OPERATIONS) await operate(next++);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  expect(next).toBe(OPERATIONS);
}, 180_000);
