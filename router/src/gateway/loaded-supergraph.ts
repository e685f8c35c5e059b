// One supergraph file, loaded: @apollo/gateway validates it, holds the planner and executes plans;
// @apollo/server is the standard path around it.
//
// Two ways through:
//   execute      an operation with one answer: Apollo Server -> gateway -> plan -> subgraph calls
//   plan + executePlan   for callers that hold the plan themselves (subscriptions: `primary`, then `rest` per event)

import { createHash } from 'node:crypto';
import { operationFromDocument } from '@apollo/federation-internals';
import { ApolloGateway, buildOperationContext, executeQueryPlan } from '@apollo/gateway';
import type { QueryPlan } from '@apollo/query-planner';
import { ApolloServer } from '@apollo/server';
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
import { type AnswerBody, type Exchange, paramsOf, preparedOf } from '../exchange.ts';
import { type AccessRules, readAccessDirectives } from './access-directives.ts';
import type { CallSubgraph, SubgraphAnswer, SubgraphRequest } from './subgraph-calls.ts';

export interface Subgraph {
  name: string;
  url: string;
}

/**
 * Answers a fetch of the plan in place of its subgraph, or `undefined` to let the call happen.
 * Asked in the order in which fetches start; a subscription answers the first one with its event.
 */
export type AnswerInstead = (subgraph: string, request: SubgraphRequest) => SubgraphAnswer | undefined;

export interface LoadedSupergraph {
  /** SHA-256 of the file. */
  readonly id: string;
  readonly sdl: string;
  /** The API schema: what a client may ask. */
  readonly schema: GraphQLSchema;
  readonly subgraphs: ReadonlyMap<string, Subgraph>;
  /** What the file's own directives keep from callers; null for most, TaskFlow's included. */
  readonly accessRules: AccessRules | null;
  /** The plan of a valid document, cached. A subscription's has the node kind `Subscription { primary, rest }`. */
  plan(document: DocumentNode, operationName?: string): QueryPlan;
  /** Runs a plan for a prepared exchange; errors are raw (`mask-errors` has not seen them). */
  executePlan(plan: QueryPlan, exchange: Exchange, answerInstead?: AnswerInstead): Promise<AnswerBody>;
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
    queryPlannerConfig: { cache: planCache(options.plansMax) },
    buildService({ name, url }) {
      const subgraph = { name, url: options.subgraphUrls[name] ?? url ?? '' };
      subgraphs.set(name, subgraph);
      return {
        process: async ({ request, context }) =>
          (await options.call(exchangeOf(context), subgraph, request as SubgraphRequest)) as object,
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
    ...planExecution(planner, gateway.schema, subgraphs, options),
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

function planExecution(
  planner: Planner,
  schema: GraphQLSchema,
  subgraphs: ReadonlyMap<string, Subgraph>,
  { call, log }: LoadOptions,
): Pick<LoadedSupergraph, 'plan' | 'executePlan'> {
  const apiSchema = planner.supergraph.apiSchema();
  const supergraphSchema = planner.supergraph.schema.toGraphQLJSSchema();
  // By document: parsed documents live in a bounded cache, and their plans go with them.
  const plans = new WeakMap<DocumentNode, Map<string, QueryPlan>>();
  return {
    plan(document, operationName = '') {
      const ofDocument = plans.get(document) ?? new Map<string, QueryPlan>();
      plans.set(document, ofDocument);
      const known = ofDocument.get(operationName);
      if (known) return known;
      const operation = operationFromDocument(apiSchema, document, operationName ? { operationName } : {});
      const plan = planner.buildQueryPlan(operation);
      ofDocument.set(operationName, plan);
      return plan;
    },
    async executePlan(plan, exchange, answerInstead) {
      const params = paramsOf(exchange);
      const { document } = preparedOf(exchange);
      const services: Parameters<typeof executeQueryPlan>[1] = Object.create(null);
      for (const subgraph of subgraphs.values()) {
        services[subgraph.name] = {
          process: async ({ request }) => {
            const asked = request as SubgraphRequest;
            const instead = answerInstead?.(subgraph.name, asked);
            return (instead ?? (await call(exchange, subgraph, asked))) as object;
          },
        };
      }
      const operationContext = buildOperationContext({
        schema,
        operationDocument: document,
        ...(params.operationName ? { operationName: params.operationName } : {}),
      });
      // The executor reads these four of the request context, and nothing else of it.
      const requestContext = {
        request: { variables: params.variables },
        context: { exchange },
        metrics: {},
        logger: quiet(log),
      } as unknown as Parameters<typeof executeQueryPlan>[2];
      return executeQueryPlan(plan, services, requestContext, operationContext, supergraphSchema, apiSchema);
    },
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

/** Apollo's own lines are worth a developer's level: what matters of them is thrown, and logged where it is handled. */
function quiet(log: Log) {
  const line = (message?: unknown) => log.debug(String(message));
  return { debug: line, info: line, warn: line, error: line };
}
