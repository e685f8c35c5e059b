// One supergraph file, loaded: @apollo/gateway validates it, holds the planner and executes plans;
// @apollo/server is the standard path around it.
//
// Two ways through:
//   compile   plans an operation once and gives what executes it, as often as it is asked
//   execute   the standard path: Apollo Server -> gateway -> plan -> subgraph calls

import { createHash } from 'node:crypto';
import { operationFromDocument } from '@apollo/federation-internals';
import { ApolloGateway } from '@apollo/gateway';
import type { QueryPlan } from '@apollo/query-planner';
import { ApolloServer, type GraphQLRequest } from '@apollo/server';
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginInlineTraceDisabled,
  ApolloServerPluginLandingPageDisabled,
  ApolloServerPluginSchemaReportingDisabled,
  ApolloServerPluginUsageReportingDisabled,
} from '@apollo/server/plugin/disabled';
import type { Log } from '@taskflow/kit/log';
import {
  type DocumentNode,
  type GraphQLFormattedError,
  type GraphQLScalarType,
  type GraphQLSchema,
  isScalarType,
} from 'graphql';
import { LRUCache } from 'lru-cache';
import { type AnswerBody, type Exchange, paramsOf } from '../exchange.ts';
import { type CompileWorld, compileOperation } from '../execution/compile.ts';
import type { CompiledOperation, ExecutionResult, OperationRun } from '../execution/compiled-operation.ts';
import { createIntrospectionTexts } from '../execution/introspection.ts';
import { createStockExecutor, quiet } from '../execution/stock.ts';
import { subgraphRequest } from '../execution/subgraph-request.ts';
import { type AccessRules, readAccessDirectives } from './access-directives.ts';
import type { CallSubgraph } from './subgraph-calls.ts';

export interface Subgraph {
  name: string;
  url: string;
}

export interface LoadedSupergraph {
  /** SHA-256 of the file. */
  readonly id: string;
  readonly sdl: string;
  /** The API schema: what a client may ask. */
  readonly schema: GraphQLSchema;
  readonly subgraphs: ReadonlyMap<string, Subgraph>;
  /** What the file's own directives keep from callers; null for most, TaskFlow's included. */
  readonly accessRules: AccessRules | null;
  /** How an operation calls a subgraph, unless its run says otherwise. */
  readonly call: CallSubgraph;
  /** An operation of a valid document, planned and compiled once. */
  compile(document: DocumentNode, operationName?: string): CompiledOperation;
  /** The same operation by the gateway package's executor: the reference of every comparison. */
  executeByStock(document: DocumentNode, operationName: string, run: OperationRun): Promise<ExecutionResult>;
  /** How many runs the stock executor took, by the reason why. */
  readonly fallbacks: ReadonlyMap<string, number>;
  /** Runs a prepared query or mutation by the standard path. */
  execute(exchange: Exchange): Promise<{ status: number | undefined; body: AnswerBody }>;
}

export interface LoadOptions {
  sdl: string;
  /** Addresses that replace those in the file, by subgraph name. */
  subgraphUrls: Readonly<Record<string, string>>;
  plansMax: number;
  /** What the file's scalars of these names accept; the values of others are for the subgraphs to judge. */
  scalars?: readonly GraphQLScalarType[];
  call: CallSubgraph;
  log: Log;
}

/** Throws when the SDL is not a supergraph that the gateway accepts. */
export async function loadSupergraph(options: LoadOptions): Promise<LoadedSupergraph> {
  // The gateway reads this when it is constructed, and would otherwise report usage to Apollo every hour.
  process.env.APOLLO_TELEMETRY_DISABLED = '1';
  const subgraphs = new Map<string, Subgraph>();
  const { sdl, rules } = readAccessDirectives(options.sdl);
  const gateway = new ApolloGateway({
    supergraphSdl: sdl,
    validateSupergraph: true,
    __exposeQueryPlanExperimental: false,
    logger: quiet(options.log),
    queryPlannerConfig: {
      cache: planCache(options.plansMax),
      incrementalDelivery: { enableDefer: true },
    },
    buildService({ name, url }) {
      const subgraph = { name, url: options.subgraphUrls[name] ?? url ?? '' };
      subgraphs.set(name, subgraph);
      return {
        process: async ({ request, context }) =>
          (await options.call(exchangeOf(context), subgraph, requestOf(request))) as object,
      };
    },
  });
  const server = new ApolloServer<{ exchange: Exchange }>({
    gateway,
    logger: quiet(options.log),
    nodeEnv: 'production',
    stopOnTerminationSignals: false,
    includeStacktraceInErrorResponses: false,
    // The stage parse-validate has validated the document already, with the limits in front of it.
    dangerouslyDisableValidation: true,
    persistedQueries: false,
    csrfPrevention: false,
    // The raw error travels on to mask-errors, which is the one place that decides what a client reads.
    formatError: (_formatted, error) => error as GraphQLFormattedError,
    plugins: [
      ApolloServerPluginUsageReportingDisabled(),
      ApolloServerPluginSchemaReportingDisabled(),
      ApolloServerPluginInlineTraceDisabled(),
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginLandingPageDisabled(),
    ],
  });
  await server.start();
  const planner = gateway.__testing().queryPlanner;
  if (!planner || !gateway.schema) throw new Error('The gateway loaded no schema.');
  for (const scalar of options.scalars ?? []) teach(gateway.schema, scalar);
  return {
    id: createHash('sha256').update(options.sdl).digest('hex'),
    sdl: options.sdl,
    schema: gateway.schema,
    subgraphs,
    accessRules: rules,
    call: options.call,
    ...execution(planner, gateway.schema, subgraphs, options),
    execute: (exchange) => executeByServer(server, exchange),
  };
}

/**
 * A file names its scalars and no more. A wrong value that only the last subgraph of a mutation finds is found when the
 * others have made their changes: it has to be refused before the first call.
 */
function teach(schema: GraphQLSchema, { name, parseValue, parseLiteral }: GraphQLScalarType): void {
  const type = schema.getType(name);
  if (isScalarType(type)) Object.assign(type, { parseValue, parseLiteral });
}

type Planner = NonNullable<ReturnType<ApolloGateway['__testing']>['queryPlanner']>;

function execution(
  planner: Planner,
  schema: GraphQLSchema,
  subgraphs: ReadonlyMap<string, Subgraph>,
  { log, plansMax }: LoadOptions,
): Pick<LoadedSupergraph, 'compile' | 'executeByStock' | 'fallbacks'> {
  const { supergraph } = planner;
  const federatedApi = supergraph.apiSchema();
  const supergraphSchema = supergraph.schema.toGraphQLJSSchema();
  const stock = createStockExecutor({ schema, supergraph, supergraphSchema, subgraphs, log });
  const fallbacks = new Map<string, number>();
  const plan = (document: DocumentNode, operationName: string) => {
    const named = operationName ? { operationName } : {};
    return planner.buildQueryPlan(operationFromDocument(federatedApi, document, named));
  };
  const world: CompileWorld = {
    apiSchema: schema,
    schema: supergraphSchema,
    subgraphs,
    introspectionTexts: createIntrospectionTexts(),
    log,
    plan,
    executeByStock(reason, planned, { document, operationName }, run) {
      fallbacks.set(reason, (fallbacks.get(reason) ?? 0) + 1);
      return stock.execute(planned, document, operationName, run);
    },
  };
  const compiled = new LRUCache<DocumentNode, Map<string, CompiledOperation>>({ max: plansMax });

  return {
    fallbacks,
    compile(document, operationName = '') {
      const ofDocument = compiled.get(document) ?? new Map<string, CompiledOperation>();
      compiled.set(document, ofDocument);
      const known = ofDocument.get(operationName);
      if (known) return known;
      const made = compileOperation(world, { document, operationName });
      ofDocument.set(operationName, made);
      return made;
    },
    executeByStock: (document, operationName, run) =>
      stock.execute(plan(document, operationName), document, operationName, run),
  };
}

async function executeByServer(server: ApolloServer<{ exchange: Exchange }>, exchange: Exchange) {
  const params = paramsOf(exchange);
  const response = await server.executeOperation(
    {
      query: params.query,
      variables: params.variables,
      ...(params.operationName ? { operationName: params.operationName } : {}),
    },
    { contextValue: { exchange } },
  );
  if (response.body.kind !== 'single') throw new Error('Apollo Server answered in parts.');
  return { status: response.http.status, body: response.body.singleResult };
}

function exchangeOf(context: Record<string, unknown>): Exchange {
  return (context as { exchange: Exchange }).exchange;
}

function requestOf({
  query = '',
  operationName,
  variables = {},
}: Pick<GraphQLRequest, 'query' | 'operationName' | 'variables'>) {
  return subgraphRequest({ query, operationName, variables });
}

function planCache(max: number) {
  const plans = new LRUCache<string, QueryPlan>({ max });
  return {
    get: async (key: string) => plans.get(key),
    set: async (key: string, plan: QueryPlan) => {
      plans.set(key, plan);
    },
    delete: async (key: string) => plans.delete(key),
    clear: () => plans.clear(),
  };
}
