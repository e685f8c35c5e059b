/** The whole way, from a client's socket to the disk and back. */
import type { Stops } from '@taskflow/dev/stops';
import type { Figures, Schedule } from '../load.ts';
import { type FrameResult, measureFrames } from './frames.ts';
import { startInstallation } from './installation.ts';
import { compareLists } from './lists.ts';
import { compareRowSecurity } from './row-security.ts';
import { makeTenant } from './tenant.ts';

export interface WholeResult {
  tasks: number;
  lists: Figures[];
  frames: FrameResult;
  rowSecurity: Figures[];
}

/** `dir` is for files of this run. */
export async function measureWhole(options: {
  dir: string;
  tasks: number;
  schedule: Schedule;
  frames: { rate: number; seconds: number };
  stops: Stops;
  say(text: string): void;
}): Promise<WholeResult> {
  const { tasks, schedule, stops, say } = options;
  say('starting PostgreSQL, Redis, the four subgraphs and the router');
  const installation = await startInstallation(options.dir, stops);
  stops.checkpoint();
  say(`inserting ${tasks} tasks, and as many of other organisations`);
  const tenant = await makeTenant(installation, tasks);
  stops.checkpoint();
  say('lists: an early page beside a late one');
  const lists = await compareLists(installation, tenant, schedule, stops);
  stops.checkpoint();
  say('frames: from a mutation to the subscription of another person');
  const frames = await measureFrames(installation, tenant, options.frames, stops);
  stops.checkpoint();
  say('row security: the same statement with it and without');
  const rowSecurity = await compareRowSecurity(installation, tenant, schedule, stops);
  stops.checkpoint();
  return { tasks, lists, frames, rowSecurity };
}
