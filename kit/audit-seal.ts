/**
 * The seal of the audit log: after the commit, the leading relay numbers entries without gaps per tenant and chains them.
 *
 *   claim   waiting entries in order of id, with the end of each tenant's chain
 *   hash    in memory (audit-chain.ts)
 *   write   one statement, under the fencing token: the chain's end is compared and moved, the seals are added, the
 *           queue is emptied; for a tenant whose chain was moved by somebody else meanwhile nothing is written
 *
 * A chain made within the transaction of the change would queue up a busy tenant behind one row; an order of times would
 * lose whoever commits late. Killed anywhere, the statement has happened or not: no gap, no fork, no entry twice.
 */
import type pg from 'pg';
import { CHAINED_COLUMNS, type ChainedEntry, genesisOf, hashOf } from './audit-chain.ts';
import type { Term } from './relay-outbox.ts';

interface Waiting extends ChainedEntry {
  readonly entryId: string;
  /** False when there is nothing to seal, or nothing to go on from: `audit verify` tells of both. */
  readonly canBeSealed: boolean;
  readonly lastSeq: string | null;
  readonly lastHash: Uint8Array | null;
}

/** Somebody has put the end of the chain back when there are seals behind it. One look at an index. */
const lastSealOf = (orgId: string) =>
  `coalesce((select max(s.seq) from audit_seals s where s.org_id = ${orgId}), 0)`;

/** Oldest first, in a step of its own: joined first, a long queue would be read to its end for each batch. */
const CLAIM = `
  with oldest as materialized (
    select org_id, entry_id from audit_unsealed where entry_id > $2::uuid order by entry_id limit $1
  )
  select ${CHAINED_COLUMNS}, u.entry_id as "entryId", c.last_seq as "lastSeq", c.last_hash as "lastHash",
    e.id is not null and ${lastSealOf('u.org_id')} <= coalesce(c.last_seq, 0) as "canBeSealed"
  from oldest u
  left join audit_entries e on e.org_id = u.org_id and e.id = u.entry_id
  left join audit_chain c on c.org_id = u.org_id
  order by u.entry_id`;

const WRITE = `
  with lease as materialized (select token from relay_lease where token = $1 for share),
  ends as materialized (
    select e."orgId" as org_id, e."expectedSeq" as expected_seq, decode(e."expectedHash", 'hex') as expected_hash,
      e."lastSeq" as last_seq, decode(e."lastHash", 'hex') as last_hash
    from jsonb_to_recordset($2::jsonb)
      as e ("orgId" uuid, "expectedSeq" bigint, "expectedHash" text, "lastSeq" bigint, "lastHash" text)
    where exists (select from lease) and ${lastSealOf('e."orgId"')} <= e."expectedSeq"
  ), begun as (
    insert into audit_chain (org_id, last_seq, last_hash) select org_id, last_seq, last_hash from ends where expected_seq = 0
    on conflict (org_id) do nothing returning org_id
  ), moved as (
    update audit_chain as c set last_seq = ends.last_seq, last_hash = ends.last_hash from ends
    where c.org_id = ends.org_id and c.last_seq = ends.expected_seq and c.last_hash = ends.expected_hash
    returning c.org_id
  ), sealed as (
    insert into audit_seals (org_id, seq, entry_id, hash)
    select s."orgId", s.seq, s.id, decode(s.hash, 'hex')
    from jsonb_to_recordset($3::jsonb) as s ("orgId" uuid, seq bigint, id uuid, hash text)
    where s."orgId" in (select org_id from begun union all select org_id from moved)
    returning org_id, entry_id
  )
  delete from audit_unsealed u using sealed s where u.entry_id = s.entry_id and u.org_id = s.org_id`;

const FIRST_ID = '00000000-0000-0000-0000-000000000000';

export interface AuditSeal {
  /** Seals the oldest waiting entries, at most `limit`; answers how many. None when deposed. */
  seal(term: Pick<Term, 'token'>, limit: number): Promise<number>;
}

/** `pool` belongs to the `_system` role; `source` is the subgraph. */
export function createAuditSeal(pool: pg.Pool, source: string): AuditSeal {
  /** Behind what cannot be sealed and would fill every batch; back at the beginning when the queue was seen. */
  let after = FIRST_ID;
  return {
    async seal({ token }, limit) {
      const { rows } = await pool.query<Waiting>(CLAIM, [limit, after]);
      const sealable = rows.filter(({ canBeSealed }) => canBeSealed);
      const isStuck = rows.length === limit && sealable.length < limit;
      after = (isStuck && rows.at(-1)?.entryId) || FIRST_ID;
      if (sealable.length === 0) return 0;
      const { ends, seals } = chain(source, sealable);
      const { rowCount } = await pool.query(WRITE, [token, JSON.stringify(ends), JSON.stringify(seals)]);
      return rowCount ?? 0;
    },
  };
}

const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

function chain(source: string, waiting: readonly Waiting[]) {
  const ends = [];
  const seals = [];
  for (const [orgId, entries] of Map.groupBy(waiting, (entry) => entry.orgId)) {
    const [first] = entries;
    let seq = Number(first?.lastSeq ?? 0);
    let hash: Uint8Array = Buffer.from(first?.lastHash ?? genesisOf(source, orgId));
    const expected = { expectedSeq: seq, expectedHash: hexOf(hash) };
    for (const entry of entries) {
      seq += 1;
      hash = hashOf(hash, seq, entry);
      seals.push({ orgId, seq, id: entry.id, hash: hexOf(hash) });
    }
    ends.push({ orgId, ...expected, lastSeq: seq, lastHash: hexOf(hash) });
  }
  return { ends, seals };
}
