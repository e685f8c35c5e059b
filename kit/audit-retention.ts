/**
 * Retention of the audit log: removes what is older than agreed, from the beginning of each chain and without holes, and
 * leaves a signed checkpoint from which the chain goes on.
 *
 *   first entry of a tenant too old? ─▶ walk a chunk, checking every link ─▶ one transaction: checkpoint, then entries,
 *                                                                           details, seals, older checkpoints
 *
 * What does not follow its checkpoint is not removed but told of: evidence is never tidied away. Days are whole (UTC), so
 * that each tenant has work once a day at most. Safe to run at any time, by anyone: all of them remove the same.
 */
import type pg from 'pg';
import { type Checkpoint, isGenuine, signatureStart, signCheckpoint } from './audit-checkpoint.ts';
import { beginningOf, damageOf, readLinks } from './audit-links.ts';
import { type auditVariables, type Config, type KeyRing, parseKeyRing } from './config.ts';
import type { Log } from './log.ts';
import { type Sql, sqlOf, transaction } from './sql.ts';

export interface AuditKeeping {
  /** How long entries are kept. */
  readonly days: number;
  /** Signs checkpoints. */
  readonly ring: KeyRing;
}

export const keepingOf = (config: Config<typeof auditVariables>): AuditKeeping => ({
  days: config.AUDIT_RETENTION_DAYS,
  ring: parseKeyRing(config.AUDIT_CHECKPOINT_KEY),
});

const DAY_MS = 86_400_000;
/** Deleting more at once holds locks, and delays replicas, for longer than 100 ms. */
const CHUNK = 2_000;
const TENANTS = 100;

/** One look at the first entry of each chain: 10,000 tenants take 60 ms, once an hour. */
const DUE = `
  select c.org_id as "orgId" from audit_chain c cross join lateral (
    select s.entry_id from audit_seals s where s.org_id = c.org_id order by s.seq limit 1) as first
  join audit_entries e on e.org_id = c.org_id and e.id = first.entry_id
  where e.occurred_at < $1::timestamptz and c.org_id > $2::uuid order by c.org_id limit ${TENANTS}`;

const FIRST = '00000000-0000-0000-0000-000000000000';

export interface AuditRetention {
  /** Answers how many entries it removed. */
  run(now?: Date): Promise<number>;
}

/** `pool` belongs to the `_system` role; `source` is the subgraph. */
export function createAuditRetention(
  pool: pg.Pool,
  { source, keeping, log }: { source: string; keeping: AuditKeeping; log: Log },
): AuditRetention {
  const sql = sqlOf(pool);

  /** The next checkpoint, at most a chunk away; null when there is none, or the chain is damaged before it. */
  async function nextCheckpoint(orgId: string, cutoff: Date): Promise<Checkpoint | null> {
    const { position, damage } = await beginningOf(sql, { orgId, source, ring: keeping.ring });
    const links = await readLinks(sql, orgId, position.seq, CHUNK, { withDetails: false });
    let problem = damage;
    let last = position;
    let next: Checkpoint | null = null;
    for (const link of links) {
      problem ??= damageOf(last, link);
      if (problem || !link.entry || link.entry.occurredAt >= cutoff) break;
      next = { orgId, seq: link.seq, hash: link.hash, removedUntil: link.entry.occurredAt };
      last = link;
    }
    if (problem) {
      log.error({ orgId, ...problem }, 'the audit log is damaged: retention leaves the rest of it alone');
    }
    return next;
  }

  async function removeUntil(checkpoint: Checkpoint): Promise<number> {
    const { orgId, seq } = checkpoint;
    return transaction(pool, async (tx) => {
      await insertCheckpoint(tx, checkpoint, signCheckpoint(keeping.ring, source, checkpoint));
      const removed = `(select entry_id from audit_seals where org_id = $1::uuid and seq <= $2::bigint)`;
      const values = [orgId, seq];
      await tx.query(`delete from audit_details where org_id = $1::uuid and entry_id in ${removed}`, values);
      await tx.query(`delete from audit_entries where org_id = $1::uuid and id in ${removed}`, values);
      const seals = await tx.query(
        'delete from audit_seals where org_id = $1::uuid and seq <= $2::bigint returning seq',
        values,
      );
      await tx.query('delete from audit_checkpoints where org_id = $1::uuid and seq < $2::bigint', values);
      return seals.length;
    });
  }

  async function keepTenant(orgId: string, cutoff: Date): Promise<number> {
    let total = 0;
    for (;;) {
      const checkpoint = await nextCheckpoint(orgId, cutoff);
      if (!checkpoint) return total;
      total += await removeUntil(checkpoint);
    }
  }

  /** Checkpoints under an older key: those of a tenant that is at rest would stay under it for ever. */
  async function signAnew(): Promise<void> {
    const { ring } = keeping;
    const rows = await sql.query<Omit<Checkpoint, 'seq'> & { seq: string; signature: string }>(
      `select org_id as "orgId", seq, hash, removed_until as "removedUntil", signature
       from audit_checkpoints where not starts_with(signature, $1)`,
      [signatureStart(ring)],
    );
    for (const row of rows) {
      const checkpoint = { ...row, seq: Number(row.seq) };
      const { orgId, seq } = checkpoint;
      if (isGenuine(ring, source, checkpoint)) {
        await transaction(pool, async (tx) => {
          await tx.query('delete from audit_checkpoints where org_id = $1::uuid and seq = $2::bigint', [
            ...[orgId, seq],
          ]);
          await insertCheckpoint(tx, checkpoint, signCheckpoint(ring, source, checkpoint));
        });
      } else log.error({ orgId, seq }, 'a checkpoint of the audit log is signed with no key of the ring');
    }
  }

  return {
    async run(now = new Date()) {
      await signAnew();
      const cutoff = new Date(Math.floor(now.getTime() / DAY_MS) * DAY_MS - keeping.days * DAY_MS);
      let total = 0;
      let after = FIRST;
      for (;;) {
        const due = await sql.query<{ orgId: string }>(DUE, [cutoff, after]);
        for (const { orgId } of due) total += await keepTenant(orgId, cutoff);
        if (due.length < TENANTS) return total;
        after = due.at(-1)?.orgId ?? after;
      }
    },
  };
}

async function insertCheckpoint(tx: Sql, checkpoint: Checkpoint, signature: string): Promise<void> {
  const { orgId, seq, hash, removedUntil } = checkpoint;
  await tx.query(
    `insert into audit_checkpoints (org_id, seq, hash, removed_until, signature)
     values ($1::uuid, $2::bigint, $3::bytea, $4::timestamptz, $5) on conflict (org_id, seq) do nothing`,
    [orgId, seq, hash, removedUntil, signature],
  );
}
