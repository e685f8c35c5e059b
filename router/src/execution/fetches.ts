// A fetch of the plan, compiled: from the tree to a request, and from its answer back into the tree.
//
//   root fetch     variables ─▶ request ─▶ data merged at its path
//   entity fetch   objects at its path ─▶ representations, each once ─▶ request ─▶ `_entities` merged, each into its objects
//
// Whatever fails is one coded error (with the path up to which its places agree), and the objects that miss something because
// of it are accounted for. An answer's own errors get the places of the client's answer in place of the subgraph's.

import type { FetchNode } from '@apollo/query-planner';
import type { Log } from '@taskflow/kit/log';
import { GraphQLError, type GraphQLSchema, isInterfaceType, isObjectType } from 'graphql';
import type { Subgraph } from '../gateway/loaded-supergraph.ts';
import type { SubgraphAnswer, SubgraphRequest } from '../gateway/subgraph-calls.ts';
import type { EntityKeys } from './entity-keys.ts';
import { objectsAt, type PlanPath, placesOf } from './places.ts';
import { compileRepresentations, type Representation } from './representations.ts';
import { applyRewrites, renamedKeys } from './rewrites.ts';
import { addError, type ResponsePath, type Run } from './run.ts';
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

/** One error of a representation that stands at many places is told at this many of them. */
const PLACES_MAX = 20;

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

/** What an entity fetch found to ask for. */
export interface Gathered {
  readonly targets: readonly JsonObject[];
  /** For each target the number of its representation; -1: it has none. */
  readonly numbers: readonly number[];
  /** Representations, each once, as JSON text of a list without its brackets. */
  readonly text: string;
  readonly count: number;
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

function gather(
  targets: readonly JsonObject[],
  representationOf: (typename: unknown) => Representation,
): Gathered {
  const index = createIndex();
  const numbers: number[] = new Array(targets.length);
  let typename: unknown;
  let representation = representationOf(undefined);
  for (let i = 0; i < targets.length; i++) {
    const target = targets[i] as JsonObject;
    if (target.__typename !== typename) {
      typename = target.__typename;
      representation = representationOf(typename);
    }
    const { by } = representation;
    numbers[i] =
      by === null ? index.byText(representation, target) : index.byValues(representation, by, target);
  }
  const { text, count } = index.written();
  return { targets, numbers, text, count };
}

/** Numbers representations; the same one has one number. */
function createIndex() {
  const texts = new Map<string, number>();
  const values = new Map<Representation, Map<unknown, Numbered[]>>();
  let text = '';
  let count = 0;
  const append = (written: string): number => {
    text += count === 0 ? written : `,${written}`;
    return count++;
  };
  return {
    written: () => ({ text, count }),
    byText({ write }: Representation, target: JsonObject): number {
      const written = write(target);
      if (written === null) return -1;
      const number = texts.get(written) ?? append(written);
      texts.set(written, number);
      return number;
    },
    /** (measured) Writing and hashing a text for each of 450 places of 9 entities was a third of an execution. */
    byValues(representation: Representation, by: readonly string[], target: JsonObject): number {
      const ofType = values.get(representation) ?? new Map<unknown, Numbered[]>();
      values.set(representation, ofType);
      const first = target[by[0] as string];
      const alike = ofType.get(first) ?? [];
      for (const known of alike) if (isSame(by, known.target, target)) return known.number;
      if (alike.length === ALIKE_MAX) return this.byText(representation, target);
      const written = representation.write(target);
      const number = written === null ? -1 : append(written);
      if (alike.push({ target, number }) === 1) ofType.set(first, alike);
      return number;
    },
  };
}

/** That differ in a later field only: with more, comparing costs more than texts do. */
const ALIKE_MAX = 8;

interface Numbered {
  readonly target: JsonObject;
  readonly number: number;
}

function isSame(by: readonly string[], one: JsonObject, other: JsonObject): boolean {
  for (let at = 1; at < by.length; at++) {
    const key = by[at] as string;
    if (one[key] !== other[key]) return false;
  }
  return true;
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

type SubgraphError = NonNullable<SubgraphAnswer['errors']>[number] & { path?: unknown };

/** What of an answer's errors can be one. */
function errorsIn({ errors }: SubgraphAnswer): readonly SubgraphError[] {
  return (errors?.filter(isObject) as readonly SubgraphError[] | undefined) ?? NO_ERRORS;
}

const NO_ERRORS: readonly SubgraphError[] = [];

function tellEntityError(run: Run, shares: readonly Share[], error: SubgraphError): void {
  const path = Array.isArray(error.path) ? (error.path as (string | number)[]) : [];
  const share = shares.find(({ key }) => key === path[0]);
  const number = path[1];
  if (!share || typeof number !== 'number') {
    for (const { gathered } of share ? [share] : shares)
      for (const target of gathered.targets) run.accountedFor.add(target);
    const [first] = share ? [share] : shares;
    if (first) addError(run, rawError(first.of, error, first.of.path.stem));
    return;
  }
  const { targets, numbers } = share.gathered;
  const asked = new Set(targets.filter((_, i) => numbers[i] === number));
  // Deeper in the entity other objects are meant: those are explained by the path.
  if (path.length <= 3) for (const target of asked) run.accountedFor.add(target);
  const places = placesOf(run.data, share.of.path, asked, PLACES_MAX);
  tellErrors(run, share.of, [error], () => (places.length > 0 ? places : [share.of.path.stem]), 2);
}

/** Tells errors at places: `skipped` elements of their own paths stand for the place. */
function tellErrors(
  run: Run,
  at: PlacedFetch,
  errors: readonly SubgraphError[],
  places: () => readonly ResponsePath[],
  skipped: number,
): void {
  const names = renamedKeys(at.fetch.outputRewrites ?? NO_REWRITES);
  for (const error of errors) {
    if (!Array.isArray(error?.path)) {
      addError(run, rawError(at, error, undefined));
      continue;
    }
    const below = error.path.slice(skipped).map((element) => names.get(element) ?? element);
    for (const place of places()) addError(run, rawError(at, error, [...place, ...below]));
  }
}

/** In the form in which the gateway package hands on a subgraph's error: `mask-errors` knows by it whose it is. */
function rawError(
  { subgraph }: PlacedFetch,
  error: SubgraphError,
  path: ResponsePath | undefined,
): GraphQLError {
  const message = typeof error?.message === 'string' && error.message ? error.message : undefined;
  return new GraphQLError(message ?? `Error while fetching subquery from service "${subgraph.name}"`, {
    ...(path ? { path } : {}),
    extensions: { code: 'DOWNSTREAM_SERVICE_ERROR', ...error?.extensions, serviceName: subgraph.name },
  });
}

/** A call that brought nothing: one error, and everything that waited for it is accounted for. */
function failed(run: Run, at: PlacedFetch, targets: readonly JsonObject[], error: unknown): void {
  for (const target of targets) run.accountedFor.add(target);
  const { stem } = at.path;
  const path = stem.length > 0 ? { path: stem } : {};
  if (error instanceof GraphQLError) {
    const { message, extensions } = error;
    addError(run, new GraphQLError(message, { ...path, extensions }));
    return;
  }
  const originalError = error instanceof Error ? error : new Error(String(error));
  addError(run, new GraphQLError(originalError.message, { ...path, originalError }));
}

function malformed({ log }: FetchWorld, subgraph: Subgraph, what: string): GraphQLError {
  log.warn({ subgraph: subgraph.name, what }, 'a subgraph gave a malformed answer');
  return new GraphQLError('A part of the service is unavailable for a moment. Please try again.', {
    extensions: { code: 'SUBGRAPH_UNAVAILABLE', retryable: true },
  });
}
