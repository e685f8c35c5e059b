import type { PlanNode, QueryPlan } from '@apollo/query-planner';
import { createLog } from '@taskflow/kit/log';
import { buildSchema, parse } from 'graphql';
import { describe, expect, it } from 'vitest';
import { createExchange } from '../exchange.ts';
import { type CompileWorld, compileOperation } from './compile.ts';
import { createIntrospectionTexts } from './introspection.ts';

const schema = buildSchema('type Query { a: Int b: Int }');
const fetchOf = (more: object = {}): PlanNode =>
  ({
    kind: 'Fetch',
    serviceName: 'one',
    operation: '{a}',
    operationKind: 'query',
    ...more,
  }) as unknown as PlanNode;

function aWorld(node: PlanNode | undefined) {
  const planned: string[] = [];
  const fallbacks: string[] = [];
  const world: CompileWorld = {
    apiSchema: schema,
    schema,
    keysOf: () => [],
    subgraphs: new Map([['one', { name: 'one', url: 'http://one' }]]),
    introspectionTexts: createIntrospectionTexts(),
    log: createLog({ process: 'test', level: 'silent' }),
    plan(document): QueryPlan {
      planned.push(JSON.stringify(document));
      return { kind: 'QueryPlan', ...(node ? { node } : {}) };
    },
    async executeByStock(reason) {
      fallbacks.push(reason);
      return { dataText: '{"a":1}', errors: [], deferred: null };
    },
  };
  return { world, planned, fallbacks };
}

const exchange = createExchange({
  transport: 'http',
  headers: {},
  clientAddress: '',
  authorization: undefined,
});
const run = { exchange, variables: {}, call: async () => ({ data: { a: 2 } }) };

describe('a compiled operation', () => {
  it.each<[string, PlanNode]>([
    ['@fromContext', fetchOf({ contextRewrites: [{}] })],
    ['@defer', { kind: 'Sequence', nodes: [{ kind: 'Defer', primary: {}, deferred: [] }] } as PlanNode],
    ['plan not understood', fetchOf({ serviceName: 'nobody' })],
  ])('that cannot be executed here (%s) goes to the stock executor, and says so', async (reason, node) => {
    const { world, fallbacks } = aWorld(node);
    const operation = compileOperation(world, { document: parse('{ a }'), operationName: '' });
    expect(await operation.execute(run)).toMatchObject({ dataText: '{"a":1}', fallback: reason });
    expect([operation.isFallback, fallbacks]).toEqual([reason, [reason]]);
  });

  it('is planned once, however often and however many at once it runs', async () => {
    const { world, planned, fallbacks } = aWorld(fetchOf());
    const operation = compileOperation(world, { document: parse('{ a }'), operationName: '' });
    const results = await Promise.all([
      operation.execute(run),
      operation.execute(run),
      operation.execute(run),
    ]);
    expect(results.map(({ dataText }) => dataText)).toEqual(['{"a":2}', '{"a":2}', '{"a":2}']);
    expect([planned.length, fallbacks, operation.isFallback]).toEqual([1, [], null]);
  });

  it('is planned once for each combination of its conditions, and never with more than a few of them decided', async () => {
    const few = aWorld(fetchOf());
    const query = 'query($x: Boolean! = false, $y: Boolean! = true) { a @include(if: $x) b @skip(if: $y) }';
    const operation = compileOperation(few.world, { document: parse(query), operationName: '' });
    for (const x of [true, false, true])
      for (const y of [true, false]) await operation.execute({ ...run, variables: { x, y } });
    // Where nothing is left, nothing is planned.
    expect(few.planned).toHaveLength(3);
    expect(few.planned.join()).not.toMatch(/include|skip/);

    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
    const many = `query(${names.map((name) => `$${name}: Boolean!`)}) { ${names.map((name) => `${name}: a @include(if: $${name})`).join(' ')} }`;
    const generic = aWorld(fetchOf());
    const wide = compileOperation(generic.world, { document: parse(many), operationName: '' });
    for (const value of [true, false])
      await wide.execute({ ...run, variables: Object.fromEntries(names.map((name) => [name, value])) });
    expect(generic.planned).toHaveLength(1);
  });

  it('tells its root fields, whatever decides about them', () => {
    const { world } = aWorld(undefined);
    const query = 'query($x: Boolean!) { one: a ... @include(if: $x) { b } __typename }';
    const { rootFields } = compileOperation(world, { document: parse(query), operationName: '' });
    expect(rootFields).toEqual(['a', 'b', '__typename']);
  });
});
