import { startInstallation } from '../installation.ts';
import type { PartContext, PartResult } from '../part.ts';
import { ms, table } from '../tables.ts';
import { makeTenant } from '../tenant.ts';
import { measureFrames } from './frames.ts';

/** What a busy organisation has: the mutations are what is measured, not the list. */
const TASKS = 1_000;
const TENANTS = 20;

export async function run({ dir, options, stops, say }: PartContext): Promise<PartResult> {
  say('starting PostgreSQL, Redis, the four subgraphs and the router');
  const installation = await startInstallation(dir, stops);
  stops.checkpoint();
  const tenant = await makeTenant(installation, { tasks: TASKS * TENANTS, tenants: TENANTS, pages: TASKS });
  stops.checkpoint();
  const { rate, rounds, seconds } = options;
  say(`${rate} mutations a second, and a subscription that hears of them`);
  const frames = await measureFrames(installation, tenant, { rate, seconds: rounds * seconds }, stops);
  stops.checkpoint();
  const { sinceDueMs, sinceAnswerMs } = frames;
  return {
    result: frames,
    tables: [
      `Mutation to frame at another client: ${frames.mutations} mutations, ${rate} a second`,
      table(
        ['the latency from the commit on is', 'p50', 'p99'],
        [
          ['below: since the mutation was due', ms(sinceDueMs.p50), ms(sinceDueMs.p99)],
          ['above: since the mutation was answered', ms(sinceAnswerMs.p50), ms(sinceAnswerMs.p99)],
        ],
      ),
    ],
  };
}
