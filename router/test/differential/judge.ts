// What a case says about our executor.

import { isDeepStrictEqual } from 'node:util';
import type { FaultPlan } from './faults.ts';
import { compareErrors, errorsBesideNulls } from './normalise.ts';
import type { Executed, Outcome } from './trial.ts';

export interface Verdict {
  /** Empty: ours is right. */
  readonly differences: readonly string[];
  /** Stock is wrong where nothing failed: it is no oracle for this document. */
  readonly isStockWrong: boolean;
}

/** Nothing was made to fail: the monolith knows what is right. */
export function judgeHealthy({ ours, stock, monolith }: Outcome): Verdict {
  if (!monolith) throw new Error('A monolith takes part where nothing fails.');
  const differences: string[] = [];
  // As text: the order of the keys is the specification's as well.
  if (ours.dataText !== monolith.dataText) differences.push('ours is not what the monolith answers');
  if (monolith.errors.length === 0 && ours.errors.length > 0) {
    differences.push(`errors where there are none: ${ours.errors.map(({ message }) => message)}`);
  }
  const isStockWrong = !isEqual(stock.dataText, monolith.dataText);
  if (!isStockWrong && ours.calls.length > stock.calls.length) {
    differences.push(`${ours.calls.length} calls, where the stock executor needs ${stock.calls.length}`);
  }
  if (mutationsOf(ours).join() !== mutationsOf(stock).join()) differences.push('mutations in another order');
  return { differences, isStockWrong };
}

/** Things were made to fail: the stock executor says what comes of it. */
export function judgeFaulty({ ours, stock }: Outcome, faults: FaultPlan): Verdict {
  // It gave up: an assertion of its own about a list or an object that is none takes the whole answer with it.
  if (stock.dataText === null) return { differences: [], isStockWrong: true };
  const differences: string[] = [];
  if (!isEqual(ours.dataText, stock.dataText)) differences.push("data differs from the stock executor's");
  differences.push(...compareErrors(ours, stock, faults));
  const isOfFields = faults.fields.every((fault) => fault === 'error');
  if (isOfFields) differences.push(...errorsBesideNulls(ours));
  return { differences, isStockWrong: false };
}

/** Which subgraph was asked to change something, in the order of the calls. */
function mutationsOf({ calls }: Executed): string[] {
  return calls.filter(({ query }) => query.startsWith('mutation')).map(({ subgraph }) => subgraph);
}

export function isSameData(one: Executed, other: Executed | null): boolean {
  return other !== null && isEqual(one.dataText, other.dataText);
}

function isEqual(one: string | null, other: string | null): boolean {
  if (one === other) return true;
  return one !== null && other !== null && isDeepStrictEqual(JSON.parse(one), JSON.parse(other));
}
