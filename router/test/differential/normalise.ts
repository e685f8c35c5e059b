// Where an answer of ours may differ from the stock executor's, rule by rule, and nowhere else.
//
// Data is compared as it is. Errors are brought to a common form by the rules below; `compareErrors` gives what is left.

import type { RawError } from '../../src/execution/compiled-operation.ts';
import type { FaultPlan, FieldFault } from './faults.ts';
import type { Executed } from './trial.ts';

/** The names stand in reports; the texts say why a difference is none. */
export const errorRules = {
  'said once':
    'A representation that stands at several places is sent once by ours and several times by stock, and entity fetches of one step are one call of ours: the same error is heard once or several times.',
  'positions in lists':
    'Stock takes the index of a representation for the index of an entity, although entities without a representation are left out. Ours are right, which is checked by themselves: an error leads to a null.',
  'path of a call':
    'Stock gives no path where a call as a whole failed or its error has none. Ours names the place up to which all objects agree that were waiting for it.',
  'malformed entities':
    'Entities that are no list or of the wrong number: stock tells its own assertion, with the number; ours says that the service is unavailable, and logs the assertion.',
  'requirements of no use':
    'Where something required has the wrong form stock sends null in its place, and its subgraph may complain; ours sends nothing.',
  'value completion':
    'A null (or a value of no use) where none may be is an error by the specification. Stock hides it in extensions.valueCompletion, and drops it there when there is any other error.',
  'said at all':
    'Where a value has the wrong form (a list for an object, no __typename where one is needed) stock sometimes writes null and says nothing, not even in valueCompletion.',
  'one null, one error':
    'Where several nulls take the same parent with them the specification wants one error; stock goes on looking in lists.',
  'explained nulls':
    'A null below an entity that its subgraph does not know, or whose fetch failed with an error of its own, is no further fault.',
} as const;

const MALFORMED = 'entities are malformed';

const NULLS: ReadonlySet<FieldFault> = new Set(['error', 'null', 'null item']);

/** Empty when the errors mean the same. */
export function compareErrors(ours: Executed, stock: Executed, faults: FaultPlan): string[] {
  const own = ours.errors.filter((error) => !isCompletion(error));
  const found = stock.errors.map(normal);
  const isOfForm = faults.fields.some((fault) => !NULLS.has(fault));
  const differences: string[] = [];
  const isHeard = (error: Normal, among: readonly Normal[]) =>
    among.some(
      (other) => other.message === error.message && (isSamePath(error, other) || isOfCall(error, other)),
    );
  const given = own.map(normal);
  for (const error of given) if (!isHeard(error, found)) differences.push(`only ours says ${said(error)}`);
  for (const error of isOfForm ? [] : found) {
    if (!isHeard(error, given)) differences.push(`only stock says ${said(error)}`);
  }

  const completion = ours.errors.filter(isCompletion).map(normal);
  if (stock.errors.length === 0) {
    const hidden = stock.valueCompletion.map(normal);
    const isUntold = ({ message }: Normal) => isOfForm || message.startsWith('Cannot tell which');
    for (const error of completion.filter((error) => !isUntold(error))) {
      if (!hidden.some((other) => isSamePath(error, other)))
        differences.push(`only ours finds ${said(error)}`);
    }
    const isExplained = faults.entities.includes('absent') || hidden.length === 0;
    if (completion.length === 0 && !isExplained) differences.push(`ours does not find ${hidden.map(said)}`);
  }
  return differences;
}

/**
 * The error of a resolver leads to a null of the answer, or to something that is not part of it. (That of a call or of an
 * entity names the place that was asked for, whatever else stands there.)
 */
export function errorsBesideNulls({ dataText, errors }: Executed): string[] {
  const data: unknown = dataText === null ? null : JSON.parse(dataText);
  return errors.filter(isOfResolver).flatMap((error) => {
    let at: unknown = data;
    for (const key of error.path ?? []) {
      if (at === null || at === undefined) return [];
      at = (at as Record<string | number, unknown>)[key];
    }
    const isBeside = error.path !== undefined && at !== null && at !== undefined;
    return isBeside ? [`an error at ${error.path?.join('.')}, where there is no null: ${error.message}`] : [];
  });
}

interface Normal {
  readonly message: string;
  /** Without positions; null where there is none. */
  readonly path: string | null;
}

function normal({ message, path }: RawError): Normal {
  const isMalformed = /^Expected "data._entities"|^A part of the service is unavailable/.test(message);
  // Not resolved by stock: an error at `_entities` itself.
  const isOfList = path?.includes('@') || path?.includes('_entities');
  const keys = isOfList ? [] : path?.filter((key) => typeof key === 'string');
  return { message: isMalformed ? MALFORMED : message, path: keys?.length ? keys.join('.') : null };
}

function isSamePath(one: Normal, other: Normal): boolean {
  return one.path === other.path;
}

/** One of the two names no path, or only the place that a failed call was for. */
function isOfCall(one: Normal, other: Normal): boolean {
  return one.path === null || other.path === null || one.message === MALFORMED;
}

const said = ({ message, path }: Normal) => `"${message}" at ${path}`;

const isOfResolver = ({ message }: RawError) => message.endsWith(' failed') && message !== 'the call failed';

function isCompletion({ message, extensions }: RawError): boolean {
  return (
    extensions?.serviceName === 'gateway' &&
    /^(Cannot return null for non-nullable|Invalid (value|__typename) found|Cannot tell which object type)/.test(
      message,
    )
  );
}
