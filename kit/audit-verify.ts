/**
 * Verification of the audit log: every chain from its beginning to its end, hashes and digests computed anew.
 *
 *   found    a changed entry, changed details, an entry removed at the beginning, in the middle or at the end, added or
 *            put elsewhere, a forged checkpoint, a row beside the chain
 *   not      erased details: counted, their digest stays
 *            a chain that was computed anew to its end by somebody who may write all tables. Whoever must find that
 *            keeps the heads that are answered here outside of the database, and compares
 *
 * One tenant is one snapshot, read in pages, so that writers and retention may go on meanwhile.
 */
import type pg from 'pg';
import { beginningOf, type Damage, damageOf, type Position, readLinks } from './audit-links.ts';
import type { KeyRing } from './config.ts';
import { type Sql, sqlOf, transaction } from './sql.ts';

export interface AuditReport {
  readonly orgId: string;
  readonly entries: number;
  readonly sealed: number;
  /** Committed, and not yet sealed: normally for less than a second. */
  readonly unsealed: number;
  /** Entries whose details were erased. */
  readonly erased: number;
  /** Entries before this one were removed by retention; 0 when none were. */
  readonly checkpoint: number;
  /** The end of the chain: note it elsewhere, to recognise it later. */
  readonly head: { readonly seq: number; readonly hash: string } | null;
  /** The number of the first link that is wrong, and how many problems there are beside it. */
  readonly firstBad: Damage['seq'] | null;
  readonly problems: readonly string[];
}

export interface VerifyOptions {
  readonly source: string;
  /** The keys that checkpoints may be signed with. */
  readonly ring: KeyRing;
  /** Only this tenant; all when absent. */
  readonly organizationId?: string | undefined;
}

/** About 1 MB, and 10 ms of hashing. */
const PAGE = 1_000;
/** More would only repeat the first. */
const PROBLEMS_MAX = 20;

/** One report a tenant, in order of ids. `pool` belongs to the `_system` role. */
export async function* verifyAudit(pool: pg.Pool, options: VerifyOptions): AsyncGenerator<AuditReport> {
  for (const orgId of await tenantsOf(sqlOf(pool), options.organizationId)) {
    yield await transaction(pool, async (sql) => {
      await sql.query('set transaction isolation level repeatable read, read only');
      return verifyTenant(sql, orgId, options);
    });
  }
}

async function tenantsOf(sql: Sql, organizationId: string | undefined): Promise<string[]> {
  const tables = ['chain', 'checkpoints', 'seals', 'entries', 'unsealed', 'details'];
  const rows = await sql.query<{ orgId: string }>(
    `select org_id as "orgId" from (${tables.map((table) => `select org_id from audit_${table}`).join(' union ')}) as tenants
     where $1::uuid is null or org_id = $1::uuid order by 1`,
    [organizationId ?? null],
  );
  return rows.map(({ orgId }) => orgId);
}

async function verifyTenant(sql: Sql, orgId: string, { source, ring }: VerifyOptions): Promise<AuditReport> {
  const beginning = await beginningOf(sql, { orgId, source, ring });
  const damages: Damage[] = beginning.damage ? [beginning.damage] : [];
  const counts = { sealed: 0, erased: 0 };
  let last: Position = beginning.position;
  for (;;) {
    const links = await readLinks(sql, orgId, last.seq, PAGE);
    for (const link of links) {
      const damage = damageOf(last, link);
      if (damage) damages.push(damage);
      if (link.entry && !link.details) counts.erased += 1;
      counts.sealed += 1;
      last = link;
    }
    if (links.length < PAGE) break;
  }
  const beside = await countBeside(sql, orgId, beginning.position.seq);
  const problems = [
    ...damages.map(({ seq, what }) => `${seq}: ${what}`),
    ...(await problemsOfEnd(sql, orgId, last)),
    ...problemsBeside(beside),
  ];
  return {
    ...{ orgId, entries: beside.entries, ...counts, unsealed: beside.waiting },
    checkpoint: beginning.position.seq,
    head: last.seq === 0 ? null : { seq: last.seq, hash: Buffer.from(last.hash).toString('hex') },
    firstBad: damages[0]?.seq ?? (problems.length > 0 ? last.seq + 1 : null),
    problems: problems.slice(0, PROBLEMS_MAX),
  };
}

/** Whoever removes the newest entries leaves a chain that ends elsewhere than it says. */
async function problemsOfEnd(sql: Sql, orgId: string, last: Position): Promise<string[]> {
  const [end] = await sql.query<{ seq: string; hash: Uint8Array }>(
    'select last_seq as seq, last_hash as hash from audit_chain where org_id = $1::uuid',
    [orgId],
  );
  const seq = Number(end?.seq ?? 0);
  if (seq > last.seq) return [`${last.seq + 1}: entries up to ${seq} are missing at the end`];
  const isSame = end ? Buffer.from(last.hash).equals(end.hash) : last.seq === 0;
  return seq === last.seq && isSame ? [] : [`${last.seq}: the end of the chain was changed`];
}

interface Beside {
  entries: number;
  waiting: number;
  unlinked: number;
  lost: number;
  orphaned: number;
  beneath: number;
}

async function countBeside(sql: Sql, orgId: string, checkpoint: number): Promise<Beside> {
  const [row] = await sql.query<Beside>(
    `select
       (select count(*) from audit_entries where org_id = $1::uuid)::int as entries,
       (select count(*) from audit_unsealed where org_id = $1::uuid)::int as waiting,
       (select count(*) from audit_entries e where e.org_id = $1::uuid
          and not exists (select from audit_seals s where s.org_id = $1::uuid and s.entry_id = e.id)
          and not exists (select from audit_unsealed u where u.org_id = $1::uuid and u.entry_id = e.id))::int as unlinked,
       (select count(*) from audit_unsealed u where u.org_id = $1::uuid
          and not exists (select from audit_entries e where e.org_id = $1::uuid and e.id = u.entry_id))::int as lost,
       (select count(*) from audit_details d where d.org_id = $1::uuid
          and not exists (select from audit_entries e where e.org_id = $1::uuid and e.id = d.entry_id))::int as orphaned,
       (select count(*) from audit_seals where org_id = $1::uuid and seq <= $2::bigint)::int as beneath`,
    [orgId, checkpoint],
  );
  return row as Beside;
}

function problemsBeside({ unlinked, lost, orphaned, beneath }: Beside): string[] {
  const found: [number, string][] = [
    [unlinked, 'entries belong to no chain'],
    [lost, 'entries were removed before they were sealed'],
    [orphaned, 'details belong to no entry'],
    [beneath, 'seals stand before the checkpoint'],
  ];
  return found.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
}
