// One execution under way: the tree that answers are merged into, and what went wrong so far.

import { GraphQLError } from 'graphql';
import type { OperationRun, RawError } from './compiled-operation.ts';
import type { JsonObject } from './values.ts';

/** More errors tell a client nothing and cost time and bytes: those that follow are counted by nobody. */
const ERRORS_MAX = 200;

export type ResponsePath = readonly (string | number)[];

export interface Run {
  readonly options: OperationRun;
  readonly data: JsonObject;
  readonly errors: RawError[];
  /**
   * Objects whose missing fields are accounted for: the subgraph that was asked for them said that there is no such
   * entity, or failed, which is an error of its own. A null below them is no fault of the answer.
   */
  readonly accountedFor: Set<object>;
  /**
   * Objects and lists that may stand at several places: what one entity brought to each of its places. A place is a
   * path of the plan each time the same, so what is below them is collected once, and written once.
   */
  readonly shared: Set<object>;
}

export function createRun(options: OperationRun): Run {
  return { options, data: {}, errors: [], accountedFor: new Set(), shared: new Set() };
}

export function addError(run: Run, error: RawError): void {
  if (run.errors.length < ERRORS_MAX) run.errors.push(error);
}

/** A null or a value that may not be where it is, found while the answer was written. */
export interface Fault {
  readonly message: string;
  readonly path: ResponsePath;
  readonly isAccountedFor: boolean;
}

/**
 * The errors of an answer: those of the fetches, and the faults that none of them explains. A null that has taken all
 * data with it needs a reason, whatever it is.
 */
export function errorsWith(run: Run, faults: readonly Fault[], isAllNull: boolean): readonly RawError[] {
  if (faults.length === 0) return run.errors;
  const isExplained = ({ path, isAccountedFor }: Fault) =>
    isAccountedFor || run.errors.some((error) => error.path && isAlong(error.path, path));
  const untold = faults.filter((fault) => !isExplained(fault));
  const isSilent = isAllNull && untold.length === 0 && run.errors.length === 0;
  const told = (isSilent ? faults : untold)
    .slice(0, ERRORS_MAX)
    .map(
      ({ message, path }) =>
        new GraphQLError(message, { path: [...path], extensions: { serviceName: 'gateway' } }),
    );
  return [...run.errors, ...told];
}

/** Whether one path leads to the other. */
export function isAlong(one: ResponsePath, other: ResponsePath): boolean {
  const length = Math.min(one.length, other.length);
  for (let at = 0; at < length; at++) if (one[at] !== other[at]) return false;
  return true;
}
