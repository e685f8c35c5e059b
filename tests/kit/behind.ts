/** Looking behind the walls of a supergraph, as the administrator of its databases: what is stored, what is on its way. */
import { subgraphs as NAMES, type Subgraph } from '@taskflow/prisma/databases';
import { facts } from '@taskflow/schema/events';
import pg from 'pg';
import { afterAll } from 'vitest';
import type { TestSupergraph } from './supergraph.ts';
import { until } from './until.ts';

export interface Behind {
  rows<R extends object>(subgraph: Subgraph, text: string, values?: unknown[]): Promise<R[]>;
  /** Resolves when every fact so far has been handled by all that act on it, and every audit entry sealed: nothing is on its way. */
  settled(): Promise<void>;
  /** A fingerprint of the rows of every table of every subgraph; equal as long as nothing was written. */
  fingerprints(): Promise<Record<string, string>>;
}

/** Change by themselves: as long as a relay lives, and a while after a call, which is counted whatever it did. */
const RESTLESS = ['relay_lease', 'api_call_counts'];

/** Call it in beforeAll. */
export function lookBehind({ databases }: Pick<TestSupergraph, 'databases'>): Behind {
  const pools = Object.fromEntries(
    NAMES.map((name) => {
      const pool = new pg.Pool({ connectionString: databases[name].adminUrl, max: 1 });
      pool.on('error', () => {}); // the database is dropped under it
      return [name, pool];
    }),
  ) as Record<Subgraph, pg.Pool>;
  afterAll(() => Promise.all(Object.values(pools).map((pool) => pool.end())));
  const rows = async <R extends object>(name: Subgraph, text: string, values: unknown[] = []) =>
    (await pools[name].query<R>(text, values)).rows;

  async function isSettled(): Promise<boolean> {
    for (const source of NAMES) {
      const sent = await rows<{ fact_id: string; type: keyof typeof facts }>(
        source,
        'select fact_id, type from outbox',
      );
      for (const consumer of NAMES) {
        const handled = await rows<{ fact_id: string }>(consumer, 'select fact_id from inbox');
        const ids = new Set(handled.map((row) => row.fact_id));
        const isMissing = ({ fact_id, type }: (typeof sent)[number]) =>
          (facts[type].consumers as readonly string[]).includes(consumer) && !ids.has(fact_id);
        if (sent.some(isMissing)) return false;
      }
      const [{ waiting } = { waiting: 1 }] = await rows<{ waiting: number }>(
        source,
        `select ((select count(*) from outbox where published_at is null)
           + (select count(*) from audit_unsealed))::int as waiting`,
      );
      if (waiting > 0) return false;
    }
    return true;
  }

  return {
    rows,
    // Facts cause facts: what was settled a look ago is looked at again.
    settled: async () => {
      await until('all facts to be handled', async () => (await isSettled()) && (await isSettled()));
    },
    async fingerprints() {
      const found: Record<string, string> = {};
      for (const name of NAMES) {
        const tables = await rows<{ relname: string }>(
          name,
          `select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
             and not relispartition and not relname = any($1) order by relname`,
          [RESTLESS],
        );
        for (const { relname } of tables) {
          const [row] = await rows<{ print: string }>(
            name,
            `select count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' order by t::text)), '') as print from "${relname}" t`,
          );
          found[`${name}.${relname}`] = row?.print ?? '';
        }
      }
      return found;
    },
  };
}
