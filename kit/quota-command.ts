/**
 * `quota check` of each subgraph that counts: whether the counter of an organisation says what there is.
 */
import { parseArgs } from 'node:util';
import { type OperatorCommand, UsageError } from './command.ts';
import { isUuid } from './filter.ts';
import type { Tenant } from './tenant-pool.ts';

interface Counting {
  compare(tenant: Tenant, options: { isRepair: boolean }): Promise<{ used: number; counted: number }>;
  close(): Promise<void>;
}

/** `open` opens what the variables name; `things` are what is counted there. */
export const quotaCheck = (things: string, open: (env: NodeJS.ProcessEnv) => Counting): OperatorCommand => ({
  summary: 'Compares the counters of an organisation with what there is, and sets them right with --repair.',
  usage: '<organization id> [--repair]',
  async run(args, { env, out }) {
    const { orgId, isRepair } = read(args);
    const { compare, close } = open(env);
    try {
      const { used, counted } = await compare({ orgId }, { isRepair });
      if (used === counted) out(`${things}: ${counted}, as counted`);
      else out(`${things}: ${counted}, but counted as ${used}${isRepair ? '; set right' : ''}`);
    } finally {
      await close();
    }
  },
});

function read(args: readonly string[]): { orgId: string; isRepair: boolean } {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { repair: { type: 'boolean' } },
    });
    const [orgId] = positionals;
    if (!orgId || positionals.length > 1 || !isUuid(orgId))
      throw new Error('give the id of one organisation');
    return { orgId, isRepair: values.repair === true };
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
