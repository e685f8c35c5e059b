// Many cases over one supergraph: each document once with everything well, and once with something failing.

import { prettyFormatQueryPlan } from '@apollo/query-planner';
import fc from 'fast-check';
import { print } from 'graphql';
import { type RandomDocument, type Recipe, recipes, type Trait } from './documents.ts';
import { type FaultPlan, faultPlans, noFaults } from './faults.ts';
import { judgeFaulty, judgeHealthy } from './judge.ts';
import { plannerFaultIn, refusalOf } from './planner-faults.ts';
import type { Executed, Outcome, Trial } from './trial.ts';

export interface Tally {
  documents: number;
  /** Executions with faults that were compared. */
  faulty: number;
  /** Of those, where our answer has errors. */
  withErrors: number;
  /** What graphql-js does not find valid: must be none. */
  invalid: number;
  /** What the planner throws at. */
  refused: number;
  /** Where ours and stock agree on what the monolith does not answer: the plan is wrong. */
  plannerWrong: number;
  /** Where stock is wrong and ours is right, with everything well. */
  stockWrong: number;
  /** Where stock throws at a malformed answer. */
  stockGaveUp: number;
  /** What the stock executor ran for us: must be none, or it is compared with itself. */
  fallback: number;
  readonly traits: Map<Trait, number>;
}

/** Data of so many seeds: few, for a model keeps what it has derived from the SDL. */
const WORLDS = 3;

export interface Campaign {
  readonly tally: Tally;
  /** A report of the smallest case found, with what reproduces it; null when all went well. */
  readonly failure: string | null;
}

export async function campaign(trial: Trial, numRuns: number, seed: number): Promise<Campaign> {
  const tally = emptyTally();
  const property = fc.asyncProperty(recipes, faultPlans, async (recipe, faults) => {
    const failure = await differencesOf(trial, recipe, faults, tally);
    if (failure) throw new Error(failure);
  });
  const { counterexample, errorInstance } = await fc.check(property, { numRuns, seed });
  if (!counterexample) return { tally, failure: null };
  const name = trial.supergraph.name;
  const again = `DIFFERENTIAL_SEED=${seed} DIFFERENTIAL_RUNS=${numRuns} vitest run router/test/differential -t ${name}`;
  return { tally, failure: `${(errorInstance as Error).message}\n\nagain: ${again}` };
}

async function differencesOf(
  trial: Trial,
  recipe: Recipe,
  faults: FaultPlan,
  tally: Tally,
): Promise<string | null> {
  const { random, problem } = trial.documentOf(recipe);
  tally.documents++;
  for (const trait of random.traits) tally.traits.set(trait, (tally.traits.get(trait) ?? 0) + 1);
  if (problem) {
    tally.invalid++;
    return `no valid document: ${problem}\n${random.text}`;
  }
  const world = recipe.seed % WORLDS;
  const healthy = await trial.run(random, world).catch((error: Error) => {
    if (!refusalOf(error)) throw new Error(`${error.stack}\n${described(random)}`);
    return null;
  });
  if (!healthy) {
    tally.refused++;
    return null;
  }
  if (healthy.isFallback) tally.fallback++;
  const { differences, isStockWrong } = judgeHealthy(healthy);
  if (differences.length > 0) {
    if (!plannerFaultIn(trial.supergraph.name, healthy)) return report(healthy, noFaults, world, differences);
    tally.plannerWrong++;
    return null;
  }
  if (isStockWrong) {
    tally.stockWrong++;
    return null;
  }
  return differencesWithFaults(trial, random, world, faults, tally);
}

async function differencesWithFaults(
  trial: Trial,
  random: RandomDocument,
  world: number,
  faults: FaultPlan,
  tally: Tally,
): Promise<string | null> {
  if (faults.calls.length + faults.fields.length + faults.entities.length === 0) return null;
  const outcome = await trial.run(random, world, faults);
  const { differences, isStockWrong } = judgeFaulty(outcome, faults);
  if (isStockWrong) tally.stockGaveUp++;
  else tally.faulty++;
  if (outcome.ours.errors.length > 0) tally.withErrors++;
  return differences.length > 0 ? report(outcome, faults, world, differences) : null;
}

function emptyTally(): Tally {
  return {
    documents: 0,
    faulty: 0,
    withErrors: 0,
    invalid: 0,
    refused: 0,
    plannerWrong: 0,
    stockWrong: 0,
    stockGaveUp: 0,
    fallback: 0,
    traits: new Map(),
  };
}

function report(
  { random, plan, ours, stock, monolith }: Outcome,
  faults: FaultPlan,
  world: number,
  differences: readonly string[],
): string {
  return [
    ...differences,
    described(random),
    `world ${world}, faults ${JSON.stringify(faults)}`,
    prettyFormatQueryPlan(plan),
    `ours     ${said(ours)}`,
    `stock    ${said(stock)}`,
    ...(monolith ? [`monolith ${said(monolith)}`] : []),
  ].join('\n');
}

const described = ({ document, variables }: Pick<RandomDocument, 'document' | 'variables'>) =>
  `${print(document)}\nvariables ${JSON.stringify(variables)}`;

function said({ dataText, errors, valueCompletion }: Executed): string {
  const all = [...errors, ...valueCompletion.map(({ message, path }) => ({ message, path, hidden: true }))];
  return [dataText, ...all.map((error) => JSON.stringify(error))].join('\n  ');
}
