import type { PartContext, PartResult } from '../part.ts';
import { ms, table, times, whole } from '../tables.ts';
import { measureNeighbours, type NeighboursResult } from './measure.ts';

export async function run({ dir, options, stops, say }: PartContext): Promise<PartResult> {
  const result = await measureNeighbours({ dir, options, stops, say });
  return { result, tables: tablesOf(result) };
}

function tablesOf({ rounds, seconds, faults }: NeighboursResult): string[] {
  const rows = faults.map(({ fault, healthy, faulty, p99Ratio, refusedShare }) => [
    fault,
    ...[healthy, faulty].flatMap(({ requestsPerSecond, p99Ms }) => [whole(requestsPerSecond), ms(p99Ms)]),
    times(p99Ratio),
    `${(100 * refusedShare).toFixed(0)} %`,
  ]);
  return [
    `Operations that do not need the subgraph that fails: median of ${rounds} interleaved rounds of ${seconds} s, beside other operations that need it`,
    table(
      [
        'the other subgraph',
        'healthy, req/s',
        'p99',
        'failing, req/s',
        'p99',
        'p99 ÷ healthy',
        'refused at once',
      ],
      rows,
    ),
  ];
}
