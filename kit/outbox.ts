/**
 * The outbox is the log: what a service has decided, written in the same transaction as the change itself.
 *
 *   appendFacts (in the use case's transaction) ──▶ outbox row, unnumbered
 *   relay, after the commit ──▶ seq: 1, 2, 3, … per tenant without gaps ──▶ published (relay.ts)
 *   reader ──▶ from any position, under row security, for as long as facts are retained (≥ 72 h)
 *
 * Append after taking the aggregate's row lock: then id order is version order per aggregate, and so is seq order.
 */
import type { Sql } from './sql.ts';
import { sqlOf, type Tenant, type TenantPool, withTenant } from './tenant-pool.ts';

/** The envelope of a fact: everything a consumer may know about one change. */
export interface Fact {
  /** UUIDv7. */
  readonly id: string;
  /** The subgraph that owns it: `task`. */
  readonly source: string;
  /** `<noun>.<past-tense>`: `task.assigned`. */
  readonly type: string;
  readonly schemaVersion: number;
  readonly orgId: string;
  readonly aggregate: { readonly type: string; readonly id: string; readonly version: number };
  readonly actor: { readonly userId: string | null; readonly [detail: string]: unknown };
  readonly requestId: string;
  readonly traceparent: string | null;
  /** ISO 8601, UTC. */
  readonly occurredAt: string;
  /** The changed columns and every column used by visibility or filters, as they were and as they are. */
  readonly before: object | null;
  readonly after: object | null;
}

/** A fact at its place in its tenant's log. */
export interface NumberedFact {
  readonly seq: number;
  readonly fact: Fact;
}

/** Names a fact to a client: `task.0198…`. A later read may ask to have seen it. */
export function syncIdOf(fact: Pick<Fact, 'source' | 'id'>): string {
  return `${fact.source}.${fact.id}`;
}

/** One text for any number of facts, so that it is prepared once. Identities follow the order given. */
const APPEND = `
  insert into outbox (org_id, fact_id, type, aggregate_type, aggregate_id, aggregate_version, envelope)
  select (f->>'orgId')::uuid, (f->>'id')::uuid, f->>'type', f#>>'{aggregate,type}', (f#>>'{aggregate,id}')::uuid,
    (f#>>'{aggregate,version}')::int, f
  from jsonb_array_elements($1::jsonb) with ordinality as given (f, place)
  order by place`;

/**
 * Appends facts, in this order, to the outbox. `sql` is the transaction that makes the change they tell of; afterwards
 * poke() the relay. Facts of another tenant than that of withTenant are refused by row security.
 */
export async function appendFacts(sql: Sql, facts: readonly Fact[]): Promise<void> {
  if (facts.length > 0) await sql.query(APPEND, [JSON.stringify(facts)]);
}

export interface OutboxReader {
  /** Facts behind position `seq`, in order, at most `limit` (≤ READ_LIMIT_MAX). Fewer do not mean the end. */
  readAfter(tenant: Tenant, seq: number, limit: number): Promise<NumberedFact[]>;
  /** The last position given; 0 before the first. */
  tail(tenant: Tenant): Promise<number>;
  /** The oldest position still held; null when none is. Whoever has read less than `oldest - 1` has missed facts. */
  oldest(tenant: Tenant): Promise<number | null>;
  /** The position of a fact; null while it is not numbered yet, and when it is unknown or no longer held. */
  positionOf(tenant: Tenant, factId: string): Promise<number | null>;
}

/** A page of envelopes of about 1 kB; larger pages hold a connection for longer than 20 ms. */
export const READ_LIMIT_MAX = 1_000;

/** Reads a subgraph's outbox as one tenant at a time. */
export function createOutboxReader(pool: TenantPool): OutboxReader {
  const sql = sqlOf(pool);
  const read = <R>(tenant: Tenant, text: string, ...values: unknown[]) =>
    withTenant(tenant, () => sql.query<R>(text, [tenant.orgId, ...values]));

  return {
    async readAfter(tenant, seq, limit) {
      const rows = await read<{ seq: string; envelope: Fact }>(
        tenant,
        'select seq, envelope from outbox where org_id = $1 and seq > $2 order by seq limit $3',
        seq,
        Math.min(limit, READ_LIMIT_MAX),
      );
      return rows.map((row) => ({ seq: Number(row.seq), fact: row.envelope }));
    },
    async tail(tenant) {
      const [row] = await read<{ last_seq: string }>(
        tenant,
        'select last_seq from outbox_positions where org_id = $1',
      );
      return Number(row?.last_seq ?? 0);
    },
    async oldest(tenant) {
      const [row] = await read<{ seq: string | null }>(
        tenant,
        'select min(seq) as seq from outbox where org_id = $1',
      );
      return row?.seq == null ? null : Number(row.seq);
    },
    async positionOf(tenant, factId) {
      const [row] = await read<{ seq: string | null }>(
        tenant,
        'select seq from outbox where org_id = $1 and fact_id = $2',
        factId,
      );
      return row?.seq == null ? null : Number(row.seq);
    },
  };
}
