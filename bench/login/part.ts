import type { PartContext, PartResult } from '../part.ts';
import { table } from '../tables.ts';
import { type LoginResult, measureLogins, type Telling } from './timing.ts';

export async function run({ dir, options, stops, say }: PartContext): Promise<PartResult> {
  const result = await measureLogins({ dir, logins: options.logins, stops, say });
  return { result, tables: tablesOf(result) };
}

function tablesOf({ logins, signIn, resetRequest }: LoginResult): string[] {
  const exactly = (value: number) => `${value.toFixed(2)} ms`;
  const rowsOf = (what: string, { figures }: Telling) =>
    figures.map(({ name, p25Ms, p50Ms, p75Ms }, n) => [
      ...[n === 0 ? what : '', name],
      ...[p25Ms, p50Ms, p75Ms].map(exactly),
    ]);
  const said = (what: string, { difference, guess }: Telling) =>
    `${what}: the medians differ by ${(100 * difference).toFixed(1)} %; of a known and an unknown one the known took ` +
    `longer in ${(100 * guess).toFixed(1)} % of all pairs (50 % say nothing at all).`;
  return [
    `What the time of an answer tells, through the router: ${logins} of each kind, in turns`,
    table(
      ['request', 'address', 'p25', 'p50', 'p75'],
      [...rowsOf('refused sign-in', signIn), ...rowsOf('passwordResetRequest', resetRequest)],
    ),
    [said('Refused sign-in', signIn), said('passwordResetRequest', resetRequest)].join('\n'),
  ];
}
