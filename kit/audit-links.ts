/**
 * Walking a tenant's chain: from its beginning, or the checkpoint that stands for it, link by link. Verification walks all
 * of it, retention what it is about to remove.
 */
import { CHAINED_COLUMNS, type ChainedEntry, digestOf, genesisOf, hashOf } from './audit-chain.ts';
import { type Checkpoint, isGenuine } from './audit-checkpoint.ts';
import type { KeyRing } from './config.ts';
import type { Sql } from './sql.ts';

/** The last link that was passed. */
export interface Position {
  readonly seq: number;
  readonly hash: Uint8Array;
}

export interface Link extends Position {
  readonly entryId: string;
  /** Null when somebody has removed it. */
  readonly entry: ChainedEntry | null;
  /** Null when they were erased. */
  readonly details: { readonly salt: Uint8Array; readonly text: string } | null;
}

/** What is wrong, and with which number. */
export interface Damage {
  readonly seq: number;
  readonly what:
    | 'entries are missing here'
    | 'the entry was removed'
    | 'the entry, or its place in the chain, was changed'
    | 'the details were changed'
    | 'the checkpoint is forged';
}

type Row = Omit<ChainedEntry, 'id'> & {
  id: string | null;
  seq: string;
  entryId: string;
  hash: Uint8Array;
  salt: Uint8Array | null;
  text: string | null;
};

/** Links behind `after`, in order, at most `limit`. */
export async function readLinks(
  sql: Sql,
  orgId: string,
  after: number,
  limit: number,
  { withDetails = true } = {},
): Promise<Link[]> {
  const details = withDetails
    ? { columns: 'd.salt, d.details as text', join: 'left join audit_details d using (org_id, entry_id)' }
    : { columns: 'null::bytea as salt, null as text', join: '' };
  const rows = await sql.query<Row>(
    `select s.seq, s.entry_id as "entryId", s.hash, ${details.columns}, ${CHAINED_COLUMNS}
     from audit_seals s ${details.join} left join audit_entries e on e.org_id = s.org_id and e.id = s.entry_id
     where s.org_id = $1::uuid and s.seq > $2::bigint order by s.seq limit $3::int`,
    [orgId, after, limit],
  );
  return rows.map(({ seq, entryId, hash, salt, text, ...entry }) => ({
    ...{ seq: Number(seq), entryId, hash },
    entry: entry.id === null ? null : { ...entry, id: entry.id },
    details: salt === null || text === null ? null : { salt, text },
  }));
}

/**
 * Whether `link` follows `before`. After a broken link the walk goes on from what is written there, so that one change
 * is one complaint.
 */
export function damageOf(before: Position, { seq, hash, entry, details }: Link): Damage | null {
  if (seq !== before.seq + 1) return { seq: before.seq + 1, what: 'entries are missing here' };
  if (!entry) return { seq, what: 'the entry was removed' };
  if (!hashOf(before.hash, seq, entry).equals(hash)) {
    return { seq, what: 'the entry, or its place in the chain, was changed' };
  }
  if (details && !digestOf(details.salt, details.text).equals(entry.detailsDigest)) {
    return { seq, what: 'the details were changed' };
  }
  return null;
}

/** Where the walk begins. With a forged checkpoint it begins there all the same, for want of anything better. */
export async function beginningOf(
  sql: Sql,
  { orgId, source, ring }: { orgId: string; source: string; ring: KeyRing },
): Promise<{ position: Position; checkpoint: Checkpoint | null; damage: Damage | null }> {
  const [row] = await sql.query<Omit<Checkpoint, 'seq'> & { seq: string; signature: string }>(
    `select org_id as "orgId", seq, hash, removed_until as "removedUntil", signature
     from audit_checkpoints where org_id = $1::uuid order by seq desc limit 1`,
    [orgId],
  );
  if (!row) {
    return { position: { seq: 0, hash: genesisOf(source, orgId) }, checkpoint: null, damage: null };
  }
  const checkpoint = { ...row, seq: Number(row.seq) };
  const { seq, hash } = checkpoint;
  const damage: Damage | null = isGenuine(ring, source, checkpoint)
    ? null
    : { seq, what: 'the checkpoint is forged' };
  return { position: { seq, hash }, checkpoint, damage };
}
