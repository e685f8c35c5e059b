/** A supergraph of SDL and resolvers, loaded as the router loads it, with its subgraphs executed in the test. */
import { composeServices } from '@apollo/composition';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { type GraphQLFormattedError, graphql, parse, validate } from 'graphql';
import { createExchange } from '../src/exchange.ts';
import type { DeferredPart, ExecutionResult } from '../src/execution/compiled-operation.ts';
import { type LoadedSupergraph, loadSupergraph } from '../src/gateway/loaded-supergraph.ts';
import type { CallSubgraph, SubgraphAnswer } from '../src/gateway/subgraph-calls.ts';
import { log } from './fixture.ts';

export interface SubgraphOfTest {
  sdl: string;
  // biome-ignore lint/suspicious/noExplicitAny: as @apollo/subgraph takes them
  resolvers?: any;
}

export interface EngineAnswer {
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever shape it asked for
  data: any;
  text: string | null;
  errors: GraphQLFormattedError[];
  parts: DeferredPart[];
  fallback: string | undefined;
  calls: { subgraph: string; query: string; variables: Record<string, unknown> }[];
}

export interface Engine {
  loaded: LoadedSupergraph;
  /** Valid operations only; `parts`: as a client that takes them. */
  ask(query: string, options?: AskOptions): Promise<EngineAnswer>;
  /** The same by the stock executor. */
  askStock(query: string, options?: AskOptions): Promise<EngineAnswer>;
}

export interface AskOptions {
  variables?: Record<string, unknown>;
  parts?: boolean;
  event?: SubgraphAnswer;
  /** Answers in place of a subgraph; undefined lets it answer. */
  instead?: (subgraph: string, query: string, variables: Record<string, unknown>) => unknown;
}

const LINK = `extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@shareable", "@requires", "@external", "@provides", "@interfaceObject", "@inaccessible"])`;

export async function anEngine(subgraphs: Record<string, SubgraphOfTest>): Promise<Engine> {
  const services = Object.entries(subgraphs).map(([name, { sdl, resolvers = {} }]) => {
    const typeDefs = parse(`${LINK}\n${sdl}`);
    return { name, url: `http://${name}`, typeDefs, schema: buildSubgraphSchema([{ typeDefs, resolvers }]) };
  });
  const composed = composeServices(services);
  if (composed.errors) throw new Error(composed.errors.map(({ message }) => message).join('\n'));
  const call: CallSubgraph = async () => ({ data: null });
  const loaded = await loadSupergraph({
    ...{ sdl: composed.supergraphSdl, subgraphUrls: {}, plansMax: 100, call, log },
  });

  async function run(query: string, options: AskOptions, isStock: boolean): Promise<EngineAnswer> {
    const { variables = {}, parts = false, event, instead } = options;
    const document = parse(query);
    const problems = validate(loaded.schema, document);
    if (problems[0]) throw problems[0];
    const calls: EngineAnswer['calls'] = [];
    const exchange = createExchange({ transport: 'http', headers: {}, clientAddress: '', authorization: '' });
    const answerFrom: CallSubgraph = async (_exchange, { name }, request) => {
      const sent = request.variables();
      calls.push({ subgraph: name, query: request.query, variables: sent });
      const made = instead?.(name, request.query, sent);
      if (made instanceof Error) throw made;
      if (made !== undefined) return JSON.parse(JSON.stringify(made)) as SubgraphAnswer;
      const service = services.find((one) => one.name === name);
      if (!service) throw new Error(`no subgraph ${name}`);
      const { schema } = service;
      const answer = await graphql({ schema, source: request.query, variableValues: sent });
      return JSON.parse(JSON.stringify(answer)) as SubgraphAnswer;
    };
    const one = { exchange, variables, call: answerFrom, takesParts: parts, ...(event ? { event } : {}) };
    const result: ExecutionResult = isStock
      ? await loaded.executeByStock(document, '', one)
      : await loaded.compile(document).execute(one);
    const followed: DeferredPart[] = [];
    for await (const part of result.deferred ?? []) followed.push(part);
    return {
      data: result.dataText === null ? undefined : JSON.parse(result.dataText),
      text: result.dataText,
      errors: result.errors.map((error) => JSON.parse(JSON.stringify(error))),
      parts: followed,
      fallback: result.fallback,
      calls,
    };
  }

  return {
    loaded,
    ask: (query, options = {}) => run(query, options, false),
    askStock: (query, options = {}) => run(query, options, true),
  };
}
