/**
 * The relay's half in PostgreSQL: who leads, which number a fact gets, what was published.
 *
 * Fencing: the lease row's token grows with every change of leader. Numbering takes a share lock on the row with its
 * own token, marking updates it: a deposed leader, however long it was paused, changes nothing any more, and a take-over
 * waits for the one statement that is under way. Times are the database's.
 */
import type pg from 'pg';

/** A term of leadership. */
export interface Term {
  readonly token: string;
  /** How many batches were published, as the database knows; compared with Redis to find out what it has lost. */
  batch: number;
  /** Until then, in performance.now(), nobody else can have taken the lease. */
  validUntil: number;
}

/** A numbered fact on its way to Redis. */
export interface Outgoing {
  readonly id: string;
  readonly orgId: string;
  readonly aggregateId: string;
  readonly seq: number;
  /** The envelope as JSON text: it is never parsed here. */
  readonly fact: string;
}

/** Another relay leads by now. Expected; ends the term. */
export class DeposedError extends Error {
  override readonly name = 'DeposedError';
}

const ACQUIRE = `
  update relay_lease set holder = $1, token = token + 1,
    expires_at = clock_timestamp() + $2::float8 * interval '1 millisecond'
  where expires_at < clock_timestamp() returning token::text, batch::text`;

const RENEW = `
  update relay_lease set expires_at = clock_timestamp() + $2::float8 * interval '1 millisecond' where token = $1`;

const RELEASE = `update relay_lease set holder = null, expires_at = '-infinity' where token = $1`;

const COLUMNS = `id::text, org_id as "orgId", aggregate_id as "aggregateId", seq::text, envelope::text as fact`;

/**
 * One statement, so that nobody can pause between its parts. The share lock is taken only when there is something to
 * number: an idle relay writes nothing.
 */
const NUMBER = `
  with lease as materialized (
    select token from relay_lease
    where token = $1 and exists (select from outbox where seq is null) for share
  ), batch as materialized (
    select id, occurred_at, org_id, row_number() over (partition by org_id order by id) as place
    from (select id, occurred_at, org_id from outbox
      where seq is null and exists (select from lease) order by id limit $2) as oldest
  ), sizes as (
    select org_id, count(*) as size from batch group by org_id
  ), positions as (
    insert into outbox_positions (org_id, last_seq) select org_id, size from sizes
    on conflict (org_id) do update set last_seq = outbox_positions.last_seq + excluded.last_seq
    returning org_id, last_seq
  )
  update outbox as o set seq = positions.last_seq - sizes.size + batch.place
  from batch join sizes using (org_id) join positions using (org_id)
  where o.id = batch.id and o.occurred_at = batch.occurred_at and o.seq is null
  returning o.id::text, o.org_id as "orgId", o.aggregate_id as "aggregateId", o.seq::text, o.envelope::text as fact`;

const MARK = `
  with lease as (update relay_lease set batch = $3 where token = $1 returning token),
  marked as (
    update outbox set published_at = now()
    where published_at is null and id = any ($2::bigint[]) and exists (select from lease)
  )
  select token from lease`;

// `order by id` alone would mean the column of the answer, which is text: 10 before 9.
const UNPUBLISHED = `
  select ${COLUMNS} from outbox where published_at is null and seq is not null order by outbox.id limit $1`;

const RETAINED = `
  select ${COLUMNS} from outbox where published_at is not null and id > $1 order by outbox.id limit $2`;

/** A chunk of old rows: deleting more at once holds locks, and delays replicas, for longer than 100 ms. */
const RETENTION_CHUNK = 5_000;

export type RelayOutbox = ReturnType<typeof createRelayOutbox>;

/** `pool` belongs to the `_system` role; `holder` names this relay to a person who looks at the lease. */
export function createRelayOutbox(pool: pg.Pool, { holder, leaseMs }: { holder: string; leaseMs: number }) {
  const outgoing = async (text: string, values: unknown[]): Promise<Outgoing[]> => {
    const { rows } = await pool.query<Omit<Outgoing, 'seq'> & { seq: string }>({ text, values });
    // Order of seq is order of versions per aggregate, and of positions per tenant.
    return rows.map((row) => ({ ...row, seq: Number(row.seq) })).sort((a, b) => a.seq - b.seq);
  };

  return {
    /** The next term, or null while somebody else leads. */
    async acquire(): Promise<Term | null> {
      const validUntil = performance.now() + leaseMs;
      const { rows } = await pool.query<{ token: string; batch: string }>(ACQUIRE, [holder, leaseMs]);
      const [row] = rows;
      return row ? { token: row.token, batch: Number(row.batch), validUntil } : null;
    },
    /** Throws DeposedError when somebody else has taken the lease. */
    async renew(term: Term): Promise<void> {
      const validUntil = performance.now() + leaseMs;
      const { rowCount } = await pool.query(RENEW, [term.token, leaseMs]);
      if (rowCount === 0) throw new DeposedError();
      term.validUntil = validUntil;
    },
    /** Lets another relay take over at once. Does nothing when it already has. */
    async release(term: Term): Promise<void> {
      await pool.query(RELEASE, [term.token]);
    },
    /** Numbers the oldest unnumbered facts, contiguously per tenant; none when deposed. In order of seq. */
    number: (term: Term, limit: number) => outgoing(NUMBER, [term.token, limit]),
    /** Numbered facts that were never marked as published, oldest first. */
    unpublished: (limit: number) => outgoing(UNPUBLISHED, [limit]),
    /** Published facts behind row `id`, page by page in order of id. */
    retained: (id: string, limit: number) => outgoing(RETAINED, [id, limit]),
    /** Marks facts as published under the number of their batch. Throws DeposedError, and marks none, when deposed. */
    async mark(term: Term, facts: readonly Outgoing[], batch: number): Promise<void> {
      const { rowCount } = await pool.query(MARK, [term.token, facts.map((fact) => fact.id), batch]);
      if (rowCount === 0) throw new DeposedError();
      term.batch = batch;
    },
    /** Partitions ahead, partitions and rows behind. Safe to call at any time, by anyone. */
    async keepUp({
      keepMs,
      inboxKeepMs,
      keyKeepMs,
    }: {
      keepMs: number;
      inboxKeepMs: number;
      keyKeepMs: number;
    }) {
      await pool.query('select outbox_ensure_partitions()');
      await pool.query(`select outbox_drop_partitions($1::float8 * interval '1 millisecond')`, [keepMs]);
      await deleteOlder('inbox', 'handled_at', inboxKeepMs);
      await deleteOlder('idempotency_keys', 'created_at', keyKeepMs);
    },
  };

  async function deleteOlder(table: string, column: string, keepMs: number): Promise<void> {
    let deleted: number | null;
    do {
      ({ rowCount: deleted } = await pool.query(
        `delete from ${table} where ctid = any (array(select ctid from ${table}
           where ${column} < now() - $1::float8 * interval '1 millisecond' limit ${RETENTION_CHUNK}))`,
        [keepMs],
      ));
    } while (deleted === RETENTION_CHUNK);
  }
}
