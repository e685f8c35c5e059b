/**
 * The promise of batching, counted where it is kept: a list costs the same subgraph calls and the same SQL statements
 * whether it shows 1, 10 or 100 items. The numbers are written down, so that a change that doubles them is seen.
 */
import { subgraphs as NAMES, type Subgraph } from '@taskflow/prisma/databases';
import { beforeAll, describe, expect, it } from 'vitest';
import { lookBehind } from '../../kit/behind.ts';
import type { TestPerson } from '../../kit/seed.ts';
import { aSupergraph, type TestSupergraph } from '../../kit/supergraph.ts';
import { aHundredOfEverything } from './scene.ts';

let supergraph: TestSupergraph;
let ada: TestPerson;
beforeAll(async () => {
  supergraph = await aSupergraph();
  ada = await aHundredOfEverything(supergraph.client);
  await lookBehind(supergraph).settled();
}, 120_000);

interface Cost {
  calls: Partial<Record<Subgraph, number>>;
  statements: Partial<Record<Subgraph, number>>;
}

const sizesOf = (counted: Record<Subgraph, string[]>) =>
  Object.fromEntries(
    NAMES.map((name) => [name, counted[name].length] as const).filter(([, count]) => count > 0),
  );

/** Selections of lists, and what each costs. */
const lists: [string, string, Cost][] = [
  [
    'tasks with their people, projects and teams',
    'tasks(first: $first) { nodes { title assignee { name } creator { name } project { name teams { name } } } }',
    { calls: { user: 1, org: 1, task: 1 }, statements: { user: 1, org: 3, task: 1 } },
  ],
  [
    'teams with their members',
    'teams(first: $first) { nodes { name memberCount members(first: 5) { nodes { role user { name } } } } }',
    { calls: { user: 1, org: 1 }, statements: { user: 1, org: 3 } },
  ],
  [
    'projects with their tasks and assignees',
    'projects(first: $first) { nodes { name tasks(first: 5) { nodes { title assignee { name } } } } }',
    { calls: { user: 1, org: 1, task: 1 }, statements: { user: 1, org: 1, task: 1 } },
  ],
  [
    'people with their teams and open tasks',
    'users(first: $first) { nodes { name openTaskCount teams { name } } }',
    { calls: { user: 1, org: 1, task: 1 }, statements: { user: 1, org: 2, task: 1 } },
  ],
  [
    'notifications with their tasks and actors',
    'notifications(first: $first) { nodes { title task { title } actor { name } } }',
    { calls: { user: 1, task: 1, notification: 1 }, statements: { user: 1, task: 1, notification: 1 } },
  ],
];

describe('a list costs the same for 1, 10 and 100 items:', () => {
  it.each(lists)('%s', async (_what, fields, cost) => {
    const query = `query List($first: Int) { ${fields} }`;
    for (const first of [1, 10, 100]) {
      supergraph.counts.reset();
      const data = await ada.client.ask<Record<string, { nodes: object[] }>>(query, { first });
      const { calls, statements } = supergraph.counts;
      expect({ calls: sizesOf(calls), statements: sizesOf(statements) }, `for ${first} items`).toEqual(cost);
      expect(Object.values(data)[0]?.nodes).toHaveLength(first);
      expect(JSON.stringify(data)).not.toContain('null');
    }
  });
});

interface Explained {
  statements: number;
  plan: string;
  executedBy: string;
  timings: { preparedMs: number; totalMs: number };
  calls: {
    subgraph: string;
    durationMs: number;
    entities: number;
    statements: number | null;
    query: string;
  }[];
}

const EXPLAIN = { 'taskflow-explain': 'true' };
const explanationOf = (text: string): Explained | undefined => JSON.parse(text).extensions?.explain;

describe('an answer that is explained', () => {
  it.each(lists)('counts the calls and statements that there were: %s', async (_what, fields) => {
    supergraph.counts.reset();
    const answer = await ada.client.send(`query List { ${fields.replace('$first', '10')} }`, {}, EXPLAIN);
    const { calls, statements } = supergraph.counts;
    const explained = explanationOf(answer.text);
    const told = Object.fromEntries(NAMES.map((name) => [name, [] as string[]])) as Record<
      Subgraph,
      string[]
    >;
    for (const call of explained?.calls ?? []) told[call.subgraph as Subgraph].push(call.query);
    expect(sizesOf(told)).toEqual(sizesOf(calls));
    expect(explained?.statements).toBe(Object.values(statements).flat().length);
    expect(explained?.executedBy).toBe('router');
    expect(explained?.plan).toMatch(/^QueryPlan \{/);
    const lasts = (explained?.calls ?? []).map(({ durationMs }) => durationMs);
    expect(Math.max(...lasts)).toBeLessThanOrEqual(explained?.timings.totalMs ?? 0);
  });

  it('has entities only in the calls that ask for entities', async () => {
    const answer = await ada.client.send('{ tasks(first: 3) { nodes { assignee { name } } } }', {}, EXPLAIN);
    const calls = explanationOf(answer.text)?.calls.map(({ subgraph, entities }) => [subgraph, entities]);
    expect(calls).toEqual([
      ['task', 0],
      ['user', 3],
    ]);
  });

  it('is nothing for those who have not signed in, nor for those who have not asked', async () => {
    const unasked = await ada.client.send('{ viewer { name } }');
    expect(explanationOf(unasked.text)).toBeUndefined();
    const anonymous = await supergraph.client.send('{ viewer { name } }', {}, EXPLAIN);
    expect(anonymous.status).toBe(401);
    expect(explanationOf(anonymous.text)).toBeUndefined();
  });
});
