// A plan as steps to run: one after the other, side by side, or a fetch.
//
// Conditions are decided when the steps are made (see `compile`: once per combination of the booleans in question).

import type { FetchNode, PlanNode } from '@apollo/query-planner';
import { batchesOf, batchStep } from './entity-batch.ts';
import { type EntityFetch, entityFetch, type FetchWorld, placed, rootFetch, type Step } from './fetches.ts';
import { planPath } from './places.ts';

type Path = readonly (string | number)[];

export interface PlanOptions {
  readonly world: FetchWorld;
  /** The fetch that a subscription's event answers. */
  readonly primary: FetchNode | null;
  /** The value of a boolean variable that the plan depends on. */
  readonly isTrue: (variable: string) => boolean;
}

/** What of a plan this executor leaves to the stock one; null: nothing. */
export function uncovered(node: PlanNode | undefined): string | null {
  switch (node?.kind) {
    case 'Fetch':
      return node.contextRewrites?.length ? '@fromContext' : null;
    case 'Flatten':
      return uncovered(node.node);
    case 'Condition':
      return uncovered(node.ifClause) ?? uncovered(node.elseClause);
    case 'Sequence':
    case 'Parallel':
      return node.nodes.reduce<string | null>((found, child) => found ?? uncovered(child), null);
    case 'Defer':
      return '@defer';
    default:
      return null;
  }
}

/** Null: there is nothing to do. */
export function compileSteps(options: PlanOptions, node: PlanNode | undefined, path: Path = []): Step | null {
  if (!node) return null;
  switch (node.kind) {
    case 'Fetch':
      return compileFetch(options, node, path);
    case 'Flatten':
      return compileSteps(options, node.node, [...path, ...node.path]);
    case 'Condition':
      return compileSteps(options, chosen(options, node), path);
    case 'Sequence':
      return inSequence(node.nodes.map((child) => compileSteps(options, child, path)));
    case 'Parallel':
      return sideBySide(options, node.nodes, path);
    case 'Defer':
      throw new Error('A plan that defers is not made of steps alone.');
  }
}

function chosen(
  { isTrue }: PlanOptions,
  node: Extract<PlanNode, { kind: 'Condition' }>,
): PlanNode | undefined {
  return isTrue(node.condition) ? node.ifClause : node.elseClause;
}

function compileFetch({ world, primary }: PlanOptions, fetch: FetchNode, path: Path): Step {
  const at = placed(world, fetch, planPath(path));
  return fetch.requires ? entityFetch(world, at).step : rootFetch(world, at, fetch === primary);
}

function inSequence(steps: readonly (Step | null)[]): Step | null {
  const some = steps.filter((step) => step !== null);
  if (some.length <= 1) return some[0] ?? null;
  return async (run) => {
    for (const step of some) {
      const waiting = step(run);
      if (waiting) await waiting;
    }
  };
}

function inParallel(steps: readonly (Step | null)[]): Step | null {
  const some = steps.filter((step) => step !== null);
  if (some.length <= 1) return some[0] ?? null;
  return (run) => {
    const waiting: Promise<void>[] = [];
    for (const step of some) {
      const one = step(run);
      if (one) waiting.push(one);
    }
    return waiting.length > 0 ? Promise.all(waiting).then(nothing) : undefined;
  };
}

const nothing = () => {};

/** A child of a parallel node that begins with an entity fetch, and what follows it. */
interface Led {
  readonly lead: EntityFetch;
  readonly rest: Step | null;
}

function sideBySide(options: PlanOptions, nodes: readonly PlanNode[], path: Path): Step | null {
  const led: Led[] = [];
  const others: (Step | null)[] = [];
  for (const node of nodes) {
    const found = leadOf(options, node, path);
    if (found) led.push(found);
    else others.push(compileSteps(options, node, path));
  }
  const { batches, alone } = batchesOf(led);
  return inParallel([
    ...others,
    ...alone.map(({ lead, rest }) => inSequence([lead.step, rest])),
    ...batches.map((members) =>
      inSequence([batchStep(members.map(({ lead }) => lead)), inParallel(members.map(({ rest }) => rest))]),
    ),
  ]);
}

function leadOf(options: PlanOptions, node: PlanNode | undefined, path: Path): Led | null {
  switch (node?.kind) {
    case 'Flatten':
      return leadOf(options, node.node, [...path, ...node.path]);
    case 'Condition':
      return leadOf(options, chosen(options, node), path);
    case 'Fetch': {
      if (!node.requires) return null;
      return { lead: entityFetch(options.world, placed(options.world, node, planPath(path))), rest: null };
    }
    case 'Sequence': {
      const [first, ...others] = node.nodes;
      const found = leadOf(options, first, path);
      if (!found) return null;
      return {
        lead: found.lead,
        rest: inSequence([found.rest, ...others.map((other) => compileSteps(options, other, path))]),
      };
    }
    default:
      return null;
  }
}
