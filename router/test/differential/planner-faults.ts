// What the planner (2.14) does wrong in the test's supergraphs. An executor cannot help it: what a plan does not fetch is
// not there. Each is small, named, and has its example in `known-answers.test.ts`; what is not listed here fails the test.

import type { Outcome } from './trial.ts';

const REFUSALS = [
  // An @interfaceObject below a fragment on one implementation, of which nothing but what its subgraph knows is asked.
  /We should have an edge from \w+\(\w+\) for __typename/,
] as const;

export function refusalOf(error: Error): RegExp | undefined {
  return REFUSALS.find((refusal) => refusal.test(error.message));
}

const FAULTS = [
  {
    // Its @requires names a field with arguments: the same field asked by the client with others takes its place.
    supergraph: 'shop',
    field: /\bshippingIn\b/,
  },
  {
    // A field of an @interfaceObject with @requires, asked of one implementation: required of all, fetched of one.
    supergraph: 'media',
    field: /\bheadline\b/,
  },
] as const;

/** Both executors agree about the plan, and the document asks a field that is planned wrongly. */
export function plannerFaultIn(supergraph: string, { random, ours, stock }: Outcome): boolean {
  const isListed = FAULTS.some((fault) => fault.supergraph === supergraph && fault.field.test(random.text));
  return isListed && ours.dataText === stock.dataText;
}
