// One case, executed three times over the same data: by our executor, by the stock one, by a monolith.

import type { QueryPlan } from '@apollo/query-planner';
import { createLog } from '@taskflow/kit/log';
import { validate } from 'graphql';
import { createExchange } from '../../src/exchange.ts';
import type { CompiledOperation, RawError } from '../../src/execution/compiled-operation.ts';
import { type LoadedSupergraph, loadSupergraph } from '../../src/gateway/loaded-supergraph.ts';
import type { CallSubgraph, SubgraphAnswer } from '../../src/gateway/subgraph-calls.ts';
import { documentOf, type RandomDocument, type Recipe } from './documents.ts';
import { type FaultPlan, noFaults } from './faults.ts';
import { createSubgraphs, executeMonolith } from './in-memory.ts';
import { createModel, type Model } from './model.ts';
import { executeByStock, type StockAnswer, type StockRequest } from './stock.ts';
import type { TestSupergraph } from './supergraph.ts';

export interface Executed {
  /** The member `data` as JSON text. */
  readonly dataText: string | null;
  readonly errors: readonly RawError[];
  /** The stock executor's own word for what the specification calls errors of value completion. */
  readonly valueCompletion: readonly RawError[];
  /** Which subgraph was asked what, in the order of the calls. */
  readonly calls: readonly { subgraph: string; query: string; representations: number }[];
}

export interface Outcome {
  readonly random: Given;
  readonly plan: QueryPlan;
  readonly isFallback: string | null;
  readonly ours: Executed;
  readonly stock: Executed;
  /** Null where something was made to fail: the monolith has no subgraphs. */
  readonly monolith: Executed | null;
}

type Given = Omit<RandomDocument, 'traits'>;

export interface Trial {
  readonly supergraph: TestSupergraph;
  /** A valid document, or why graphql-js refuses it. */
  documentOf(recipe: Recipe): { random: RandomDocument; problem: string | null };
  /** `stockPlan`: in place of the plan that ours has, with its conditions decided. */
  run(random: Given, worldSeed: number, faults?: FaultPlan, stockPlan?: QueryPlan): Promise<Outcome>;
}

const log = createLog({ process: 'test', level: 'silent' });
const noCall: CallSubgraph = () => Promise.reject(new Error('the standard path is not on trial'));

export async function createTrial(supergraph: TestSupergraph): Promise<Trial> {
  const loaded = await loadSupergraph({
    sdl: supergraph.sdl,
    subgraphUrls: {},
    plansMax: 10,
    call: noCall,
    log,
  });
  const ask = createSubgraphs(supergraph);
  const models = new Map<number, Model>();

  function modelOf(seed: number): Model {
    const model = models.get(seed) ?? createModel(supergraph, seed);
    models.set(seed, model);
    return model;
  }

  /** The calls of one execution, each answered afresh: executors merge into what they are given. */
  function listener(model: Model, faults: FaultPlan) {
    const calls: Executed['calls'][number][] = [];
    const note = (subgraph: string, request: StockRequest) => {
      const { query, variables } = request;
      calls.push({ subgraph, query, representations: representationsIn(variables) });
      return ask(subgraph, request, model, faults);
    };
    const call: CallSubgraph = (_exchange, { name }, { query, operationName, body }) => {
      const { variables = {} } = JSON.parse(body) as { variables?: Record<string, unknown> };
      return note(name, { query, operationName, variables }) as Promise<SubgraphAnswer>;
    };
    return { calls, note, call };
  }

  async function runOurs(compiled: CompiledOperation, random: Given, model: Model, faults: FaultPlan) {
    const { calls, call } = listener(model, faults);
    const { dataText, errors } = await compiled.execute({
      exchange: exchangeFor(loaded, random),
      variables: random.variables,
      call,
    });
    return { dataText, errors, valueCompletion: [], calls };
  }

  async function runStock(plan: QueryPlan, random: Given, model: Model, faults: FaultPlan) {
    const { calls, note } = listener(model, faults);
    const { document, variables } = random;
    // It rejects when an answer has a form that it does not expect: then it has no opinion.
    const answer = await executeByStock(supergraph, plan, document, variables, note).catch(() => ({}));
    const { data, errors, extensions }: StockAnswer = answer;
    return {
      dataText: data === undefined ? null : JSON.stringify(data),
      errors: errors ?? [],
      valueCompletion: extensions?.valueCompletion ?? [],
      calls,
    };
  }

  async function runMonolith(random: Given, model: Model) {
    const { data, errors } = await executeMonolith(supergraph, random.document, random.variables, model);
    return {
      dataText: data === undefined ? null : JSON.stringify(data),
      errors: errors ?? [],
      valueCompletion: [],
      calls: [],
    };
  }

  return {
    supergraph,
    documentOf(recipe) {
      const random = documentOf(loaded.schema, recipe);
      const [problem] = validate(loaded.schema, random.document);
      return { random, problem: problem?.message ?? null };
    },
    async run(random, worldSeed, faults = noFaults, stockPlan) {
      const model = modelOf(worldSeed);
      const compiled = loaded.compile(random.document);
      // The same plan for both: with all conditions decided.
      const plan = compiled.planFor(random.variables);
      return {
        random,
        plan,
        ours: await runOurs(compiled, random, model, faults),
        stock: await runStock(stockPlan ?? plan, random, model, faults),
        isFallback: compiled.isFallback,
        monolith: faults === noFaults ? await runMonolith(random, model) : null,
      };
    },
  };
}

function representationsIn(variables: Record<string, unknown>): number {
  return Object.entries(variables)
    .filter(([name, value]) => name.startsWith('representations') && Array.isArray(value))
    .reduce((sum, [, value]) => sum + (value as unknown[]).length, 0);
}

function exchangeFor(supergraph: LoadedSupergraph, { text, document, variables }: Given) {
  const exchange = createExchange({
    transport: 'socket',
    headers: {},
    clientAddress: '127.0.0.1',
    authorization: undefined,
    params: { query: text, operationName: undefined, variables, extensions: {} },
  });
  const [operation] = document.definitions;
  if (operation?.kind !== 'OperationDefinition') throw new Error('The operation comes first.');
  exchange.document = document;
  exchange.prepared = { document, operation, supergraph } as NonNullable<typeof exchange.prepared>;
  return exchange;
}
