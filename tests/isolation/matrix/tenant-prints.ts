/** What belongs to one tenant in all four databases: a fingerprint of every table, and every identifier in it. */
import { subgraphs as NAMES, type Subgraph } from '@taskflow/prisma/databases';
import type { Behind } from '../../kit/behind.ts';

/**
 * Tables whose rows are not told by org_id: which of them belong to tenant $1, or why none is looked at. A table that is
 * neither here nor has an org_id fails the run, so that nothing is left out silently.
 */
const APART: Readonly<Record<string, { rows: string } | { reason: string }>> = {
  'user.accounts': { rows: 'id in (select id from members where org_id = $1::uuid)' },
  'user.identities': { rows: 'account_id in (select id from members where org_id = $1::uuid)' },
  'user.login_attempts': { reason: 'counted by address, before anybody is signed in' },
  'user.signing_keys': { reason: 'the service’s own' },
  'org.api_call_counts': { reason: 'follows the routers’ counters in Redis, a while after the calls' },
  relay_lease: { reason: 'who relays' },
  _prisma_migrations: { reason: 'Prisma’s record of migrations' },
};

interface Table {
  subgraph: Subgraph;
  name: string;
  rows: string;
  uuids: string[];
}

export interface TenantPrints {
  /** Of every table, by `task.tasks`; equal as long as nothing of this tenant was written. */
  of(orgId: string): Promise<Record<string, string>>;
  /** Every identifier that stands in a row of this tenant. */
  ids(orgId: string): Promise<Set<string>>;
}

/** Call it in beforeAll, after the services have started. */
export async function createTenantPrints(behind: Behind): Promise<TenantPrints> {
  const tables = (await Promise.all(NAMES.map((name) => tablesOf(behind, name)))).flat();
  return {
    async of(orgId) {
      const prints = tables.map(async ({ subgraph, name, rows }) => {
        const [row] = await behind.rows<{ print: string }>(
          subgraph,
          `select count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' order by t::text)), '') as print
             from ${name} t where ${rows}`,
          [orgId],
        );
        return [`${subgraph}.${name}`, row?.print ?? ''] as const;
      });
      return Object.fromEntries(await Promise.all(prints));
    },
    async ids(orgId) {
      const found = new Set<string>();
      for (const { subgraph, name, rows, uuids } of tables) {
        for (const column of uuids) {
          const ids = await behind.rows<{ id: string }>(
            subgraph,
            `select distinct ${column}::text as id from ${name} where ${rows} and ${column} is not null`,
            [orgId],
          );
          for (const { id } of ids) found.add(id);
        }
      }
      return found;
    },
  };
}

async function tablesOf(behind: Behind, subgraph: Subgraph): Promise<Table[]> {
  const found = await behind.rows<{ name: string; hasOrgId: boolean; uuids: string[] }>(
    subgraph,
    `select c.oid::regclass::text as name, bool_or(a.attname = 'org_id') as "hasOrgId",
       coalesce(json_agg(quote_ident(a.attname)) filter (where a.atttypid = 'uuid'::regtype), '[]') as uuids
     from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
     group by c.oid order by 1`,
  );
  return found.flatMap(({ name, hasOrgId, uuids }) => {
    const known = APART[`${subgraph}.${name}`] ?? APART[name];
    if (!known && hasOrgId) return [{ subgraph, name, rows: 'org_id = $1::uuid', uuids }];
    if (!known)
      throw new Error(`${subgraph}.${name} has no org_id: say in tenant-prints.ts whose its rows are`);
    return 'rows' in known ? [{ subgraph, name, rows: known.rows, uuids }] : [];
  });
}
