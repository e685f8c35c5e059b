// Our executor against the gateway package's and against a monolith, over random documents and faults.
//
// DIFFERENTIAL_RUNS and DIFFERENTIAL_SEED make it longer and other; a failure names what repeats it.

import { subgraphDocument, subgraphNames } from '@taskflow/schema/sdl';
import { describe, expect, it } from 'vitest';
import { type Campaign, campaign } from './campaign.ts';
import { traits } from './documents.ts';
import { composed, ownSupergraphs } from './supergraph.ts';
import { createTrial } from './trial.ts';

const { DIFFERENTIAL_RUNS, DIFFERENTIAL_SEED = '1' } = process.env;
const seed = Number(DIFFERENTIAL_SEED);
/** Documents of each supergraph: 5,050 together. */
const runs = Number(DIFFERENTIAL_RUNS ?? 1_010);

const taskflow = () =>
  composed(
    'taskflow',
    subgraphNames.map((name) => ({ name, document: subgraphDocument(name) })),
  );
const supergraphs = [...ownSupergraphs(), taskflow()];
const done: Campaign[] = [];

describe('random documents, with everything well and with something failing', () => {
  it.each(supergraphs)(
    `$name answers ${runs} of them right (seed ${seed})`,
    { timeout: 100 * runs },
    async (supergraph) => {
      const result = await campaign(await createTrial(supergraph), runs, seed);
      done.push(result);
      const { tally, failure } = result;
      if (DIFFERENTIAL_RUNS)
        console.info(supergraph.name, { ...tally, traits: Object.fromEntries(tally.traits) });
      expect(failure).toBeNull();
      expect(tally).toMatchObject({ documents: runs, invalid: 0, fallback: 0 });
      expect(tally.refused + tally.plannerWrong).toBeLessThan(0.15 * runs);
      expect(tally.stockWrong).toBeLessThan(0.1 * runs);
      expect(tally.stockGaveUp).toBeLessThan(0.1 * runs);
      expect(tally.withErrors).toBeGreaterThan(0.1 * runs);
    },
  );

  it('has every kind of selection among them', () => {
    const seen = new Set(done.flatMap(({ tally }) => [...tally.traits.keys()]));
    expect(traits.filter((trait) => !seen.has(trait))).toEqual([]);
  });
});
