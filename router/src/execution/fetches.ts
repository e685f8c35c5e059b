// A fetch of the plan, compiled: from the tree to a request, and from its answer back into the tree.
//
//   root fetch     variables ─▶ request ─▶ data merged at its path
//   entity fetch   objects at its path ─▶ representations, each once ─▶ request ─▶ `_entities` merged, each into its objects
//
// Whatever fails is one coded error (with the path up to which its places agree), and the objects that miss something because
// of it are accounted for. An answer's own errors get the places of the client's answer in place of the subgraph's.

import type { FetchNode } from '@apollo/query-planner';
import type { Log } from '@taskflow/kit/log';
import { type GraphQLSchema, isInterfaceType, isObjectType } from 'graphql';
import type { Subgraph } from '../gateway/loaded-supergraph.ts';
import type { SubgraphAnswer, SubgraphRequest } from '../gateway/subgraph-calls.ts';
import type { EntityKeys } from './entity-keys.ts';
import { errorsIn, failed, malformed, tellEntityError, tellErrors } from './fetch-errors.ts';
import { type Gathered, gather } from './gathering.ts';
import { objectsAt, type PlanPath, placesOf } from './places.ts';
import { compileRepresentations } from './representations.ts';
import { applyRewrites } from './rewrites.ts';
import type { Run } from './run.ts';
import { requestMaker } from './subgraph-request.ts';
import { isObject, type JsonObject, mergeInto } from './values.ts';

/** What compiling and running fetches takes of the supergraph. */
export interface FetchWorld {
  readonly subgraphs: ReadonlyMap<string, Subgraph>;
  /** The supergraph's schema as graphql-js has it, with what clients do not see. */
  readonly schema: GraphQLSchema;
  readonly keysOf: EntityKeys;
  readonly log: Log;
}

/** Part of a plan: runs to its end, and never rejects. */
export type Step = (run: Run) => Promise<void> | undefined;

/** A fetch and where its answer goes. */
export interface PlacedFetch {
  readonly fetch: FetchNode;
  readonly path: PlanPath;
  readonly subgraph: Subgraph;
}

const NO_REWRITES: NonNullable<FetchNode['outputRewrites']> = [];

export function placed(world: FetchWorld, fetch: FetchNode, path: PlanPath): PlacedFetch {
  const subgraph = world.subgraphs.get(fetch.serviceName);
  if (!subgraph) throw new Error(`The plan names a subgraph "${fetch.serviceName}" that there is not.`);
  return { fetch, path, subgraph };
}

/** The inside of the variables' braces, as JSON: those that the fetch uses and the client sent. */
export function variablesWriter(usages: readonly string[] = []): (run: Run) => string {
  const names = usages.map((name) => [name, `${JSON.stringify(name)}:`] as const);
  return ({ options: { variables } }) => {
    let text = '';
    for (const [name, key] of names) {
      if (!Object.hasOwn(variables, name) || variables[name] === undefined) continue;
      text += `${text === '' ? '' : ','}${key}${JSON.stringify(variables[name])}`;
    }
    return text;
  };
}

export function rootFetch(world: FetchWorld, at: PlacedFetch, isAnsweredByEvent: boolean): Step {
  const { fetch, path, subgraph } = at;
  const make = requestMaker({
    query: fetch.operation,
    operationName: fetch.operationName,
    isRead: fetch.operationKind === 'query',
  });
  const writeVariables = variablesWriter(fetch.variableUsages);

  function take(run: Run, targets: readonly JsonObject[], answer: SubgraphAnswer): void {
    const errors = errorsIn(answer);
    if (errors.length > 0)
      tellErrors(run, at, errors, () => placesOf(run.data, path, new Set(targets), 1), 0);
    const { data } = answer;
    if (!isObject(data)) {
      if (errors.length > 0) for (const target of targets) run.accountedFor.add(target);
      return;
    }
    if (fetch.outputRewrites) applyRewrites(world.schema, fetch.outputRewrites, data);
    for (const target of targets) mergeInto(target, data);
  }

  return (run) => {
    const targets = path.steps.length === 0 ? [run.data] : objectsAt(run.data, path, run.shared);
    if (targets.length === 0) return undefined;
    const { event, call, exchange } = run.options;
    if (isAnsweredByEvent) {
      if (!event) throw new Error('A subscription runs once per event, and there is none.');
      take(run, targets, event);
      return undefined;
    }
    return call(exchange, subgraph, make(writeVariables(run))).then(
      (answer) => take(run, targets, answer),
      (error) => failed(run, at, targets, error),
    );
  };
}

export interface EntityFetch extends PlacedFetch {
  gather(run: Run): Gathered;
  /** Merges what was answered under `key`. Errors have been told. */
  take(run: Run, gathered: Gathered, entities: unknown): void;
  /** Asks for what was gathered, by the fetch's own text. */
  send(run: Run, gathered: Gathered): Promise<void>;
  step: Step;
}

export function entityFetch(world: FetchWorld, at: PlacedFetch): EntityFetch {
  const { fetch, path, subgraph } = at;
  const represent = compileRepresentations({
    schema: world.schema,
    requires: fetch.requires ?? [],
    inputRewrites: fetch.inputRewrites ?? NO_REWRITES,
    keysOf: (type) => world.keysOf(subgraph.name, type),
  });
  const make = requestMaker({ query: fetch.operation, operationName: fetch.operationName, isRead: true });
  const writeVariables = variablesWriter(fetch.variableUsages);
  const rewrites = fetch.outputRewrites ?? NO_REWRITES;

  function take(run: Run, gathered: Gathered, entities: unknown): void {
    const { targets, numbers, count } = gathered;
    if (!Array.isArray(entities) || entities.length !== count) {
      failed(run, at, targets, malformed(world, subgraph, `no list of ${count} entities`));
      return;
    }
    if (rewrites.length > 0) rewriteAll(world.schema, rewrites, gathered, entities);
    const uses = count < targets.length ? new Uint32Array(count) : null;
    for (let i = 0; i < targets.length; i++) {
      const target = targets[i] as JsonObject;
      const number = numbers[i] as number;
      if (number < 0) continue;
      const entity = entities[number];
      if (!isObject(entity)) {
        run.accountedFor.add(target);
        continue;
      }
      mergeEntity(world.schema, target, entity);
      // From its second place on, what it brought stands at several.
      if (!uses) continue;
      uses[number] = (uses[number] ?? 0) + 1;
      if (uses[number] === 2) noteShared(run, entity);
    }
  }

  const itself: EntityFetch = {
    ...at,
    gather: (run) => gather(objectsAt(run.data, path, run.shared), represent),
    take,
    step(run) {
      const gathered = itself.gather(run);
      return gathered.count === 0 ? undefined : itself.send(run, gathered);
    },
    send(run, gathered) {
      const variables = writeVariables(run);
      const request = make(`${variables}${variables && ','}"representations":[${gathered.text}]`);
      return sendEntities(run, subgraph, request, [{ of: itself, gathered, key: '_entities' }]);
    },
  };
  return itself;
}

/** One of the entity fetches that an answer is for, and the key under which it has its entities. */
export interface Share {
  readonly of: EntityFetch;
  readonly gathered: Gathered;
  readonly key: string;
}

/** Sends a request for the entities of one fetch or of several. */
export function sendEntities(
  run: Run,
  subgraph: Subgraph,
  request: SubgraphRequest,
  shares: readonly Share[],
): Promise<void> {
  const { call, exchange } = run.options;
  return call(exchange, subgraph, request).then(
    (answer) => {
      const { data } = answer;
      const errors = errorsIn(answer);
      for (const error of errors) tellEntityError(run, shares, error);
      for (const { of, gathered, key } of shares) {
        if (isObject(data)) of.take(run, gathered, data[key]);
        else if (errors.length > 0) for (const target of gathered.targets) run.accountedFor.add(target);
        else of.take(run, gathered, undefined);
      }
    },
    (error) => {
      const [first, ...others] = shares;
      if (first) failed(run, first.of, first.gathered.targets, error);
      for (const { gathered } of others) for (const target of gathered.targets) run.accountedFor.add(target);
    },
  );
}

/** A subgraph that knows an interface as an object (@interfaceObject) names it: the object type that is known stays. */
function mergeEntity(schema: GraphQLSchema, target: JsonObject, entity: JsonObject): void {
  const known = target.__typename;
  mergeInto(target, entity);
  if (target.__typename === known || typeof known !== 'string') return;
  const isInterface = isInterfaceType(schema.getType(String(target.__typename)));
  if (isInterface && isObjectType(schema.getType(known))) target.__typename = known;
}

function noteShared({ shared }: Run, entity: JsonObject): void {
  for (const key in entity) {
    const value = entity[key];
    if (typeof value === 'object' && value !== null) shared.add(value);
  }
}

function rewriteAll(
  schema: GraphQLSchema,
  rewrites: NonNullable<FetchNode['outputRewrites']>,
  { targets, numbers }: Gathered,
  entities: readonly unknown[],
): void {
  for (let i = 0; i < targets.length; i++) {
    const entity = entities[numbers[i] as number];
    // Rewrites are by type, and an answer need not repeat the type that it was asked for.
    if (isObject(entity)) entity.__typename ??= targets[i]?.__typename;
  }
  for (const entity of entities) applyRewrites(schema, rewrites, entity);
}
