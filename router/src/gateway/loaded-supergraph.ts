// One supergraph file, loaded: @apollo/gateway validates it and holds the planner; `compile` plans an operation once and
// gives what executes it, as often as it is asked.

import { createHash } from 'node:crypto';
import { operationFromDocument } from '@apollo/federation-internals';
import { ApolloGateway } from '@apollo/gateway';
import type { QueryPlan } from '@apollo/query-planner';
import type { Log } from '@taskflow/kit/log';
import type { SharedMarks } from '@taskflow/kit/shared';
import {
  type DocumentNode,
  extendSchema,
  type GraphQLScalarType,
  type GraphQLSchema,
  isScalarType,
  parse,
} from 'graphql';
import { LRUCache } from 'lru-cache';
import { type Pricing, readPricing } from '../cost/costs.ts';
import { type CompileWorld, compileOperation } from '../execution/compile.ts';
import type { CompiledOperation, ExecutionResult, OperationRun } from '../execution/compiled-operation.ts';
import { entityKeys } from '../execution/entity-keys.ts';
import { createIntrospectionTexts } from '../execution/introspection.ts';
import { createStockExecutor, quiet } from '../execution/stock.ts';
import { type AccessRules, readAccessDirectives } from './access-directives.ts';
import { resolvableKeysFirst } from './key-order.ts';
import { plannerHazards } from './planner-hazards.ts';
import { readSharedMarks } from './shared-marks.ts';
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
  /** Fields whose value is the same for many viewers, by the file's `@shared`. */
  readonly sharedMarks: SharedMarks;
  /** What the file says of costs, by @cost and @listSize. */
  readonly pricing: Pricing;
  /** How an operation calls a subgraph, unless its run says otherwise. */
  readonly call: CallSubgraph;
  /** An operation of a valid document, planned and compiled once. */
  compile(document: DocumentNode, operationName?: string): CompiledOperation;
  /** The same operation by the gateway package's executor: the reference of every comparison. */
  executeByStock(document: DocumentNode, operationName: string, run: OperationRun): Promise<ExecutionResult>;
  /** How many runs the stock executor took, by the reason why. */
  readonly fallbacks: ReadonlyMap<string, number>;
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
  const { sdl: accepted, rules } = readAccessDirectives(options.sdl);
  const sdl = resolvableKeysFirst(accepted);
  for (const hazard of plannerHazards(sdl)) options.log.warn({ hazard }, 'the planner may plan this wrongly');
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
      return { process: neverAsked };
    },
  });
  await gateway.load();
  const planner = gateway.__testing().queryPlanner;
  if (!planner || !gateway.schema) throw new Error('The gateway loaded no schema.');
  const schema = gateway.schema.getDirective('defer') ? gateway.schema : extendSchema(gateway.schema, DEFER);
  for (const scalar of options.scalars ?? []) teach(schema, scalar);
  return {
    id: createHash('sha256').update(options.sdl).digest('hex'),
    sdl: options.sdl,
    schema,
    subgraphs,
    accessRules: rules,
    sharedMarks: readSharedMarks(options.sdl),
    pricing: readPricing(options.sdl, schema),
    call: options.call,
    ...execution(planner, schema, subgraphs, options),
  };
}

/** What the planner understands, and graphql-js does not define. */
const DEFER = parse(
  'directive @defer(label: String, if: Boolean! = true) on FRAGMENT_SPREAD | INLINE_FRAGMENT',
);

/** The gateway validates and plans; its own executor is called with services of its own (stock.ts). */
function neverAsked(): never {
  throw new Error('The gateway executes nothing here.');
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
    keysOf: entityKeys(supergraph),
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
