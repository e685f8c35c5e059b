import type { TeamRow } from '../data/teams.ts';
import type { Loaders } from '../loaders.ts';

/** The team of a row that refers to it by foreign key, and is therefore there. */
export async function teamOf(loaders: Loaders, teamId: string): Promise<TeamRow> {
  const team = await loaders.team.load(teamId);
  if (!team) throw new Error(`team ${teamId} is referred to and not there`);
  return team;
}
