// What goes wrong with a fetch, told at the places of the client's answer.

import { GraphQLError } from 'graphql';
import type { Subgraph } from '../gateway/loaded-supergraph.ts';
import type { SubgraphAnswer } from '../gateway/subgraph-calls.ts';
import type { FetchWorld, PlacedFetch, Share } from './fetches.ts';
import { placesOf } from './places.ts';
import { renamedKeys } from './rewrites.ts';
import { addError, type ResponsePath, type Run } from './run.ts';
import { isObject, type JsonObject } from './values.ts';

/** One error of a representation that stands at many places is told at this many of them. */
const PLACES_MAX = 20;

export type SubgraphError = NonNullable<SubgraphAnswer['errors']>[number] & { path?: unknown };

/** What of an answer's errors can be one. */
export function errorsIn({ errors }: SubgraphAnswer): readonly SubgraphError[] {
  return (errors?.filter(isObject) as readonly SubgraphError[] | undefined) ?? NO_ERRORS;
}

const NO_ERRORS: readonly SubgraphError[] = [];

export function tellEntityError(run: Run, shares: readonly Share[], error: SubgraphError): void {
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
export function tellErrors(
  run: Run,
  at: PlacedFetch,
  errors: readonly SubgraphError[],
  places: () => readonly ResponsePath[],
  skipped: number,
): void {
  const names = renamedKeys(at.fetch.outputRewrites ?? []);
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
export function failed(run: Run, at: PlacedFetch, targets: readonly JsonObject[], error: unknown): void {
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

export function malformed({ log }: FetchWorld, subgraph: Subgraph, what: string): GraphQLError {
  log.warn({ subgraph: subgraph.name, what }, 'a subgraph gave a malformed answer');
  return new GraphQLError('A part of the service is unavailable for a moment. Please try again.', {
    extensions: { code: 'SUBGRAPH_UNAVAILABLE', retryable: true },
  });
}
