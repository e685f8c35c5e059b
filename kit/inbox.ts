/**
 * What a consuming service keeps about the facts of others, in its own database.
 *
 *   fact ── claimFact in the transaction of its effect ──▶ handled once, however often it is delivered
 *        ── exhausted ──▶ dead letter + parked aggregate: later facts of the same thing wait behind it, in order
 *                          └─ replayDeadLetters ──▶ applied in order ──▶ unparked
 *
 * Everything runs for the tenant of the fact: withTenant({ orgId: fact.orgId }, …).
 */
import type { Fact } from './outbox.ts';
import type { Sql } from './sql.ts';

/**
 * True for whoever handles this fact first; false when it was handled before: do nothing then. Call it in the
 * transaction of the effect. A second delivery at the same time waits here for the first one's outcome.
 */
export async function claimFact(sql: Sql, fact: Fact): Promise<boolean> {
  const claimed = await sql.query(
    'insert into inbox (org_id, source, fact_id) values ($1, $2, $3) on conflict do nothing returning fact_id',
    [fact.orgId, fact.source, fact.id],
  );
  return claimed.length === 1;
}

/**
 * Puts a fact aside and parks its aggregate. For a fact that exhausted its attempts, and for every later one that finds
 * its aggregate parked (`attempts: 0`). Safe to call twice: the first reason stays. `sql` is a transaction.
 */
export async function deadLetter(
  sql: Sql,
  fact: Fact,
  { reason, attempts }: { reason: string; attempts: number },
): Promise<void> {
  await park(sql, fact);
  await sql.query(
    `insert into dead_letters (org_id, source, fact_id, type, aggregate_id, envelope, reason, attempts)
     values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing`,
    [
      fact.orgId,
      fact.source,
      fact.id,
      fact.type,
      fact.aggregate.id,
      JSON.stringify(fact),
      reason.slice(0, REASON_LENGTH_MAX),
      attempts,
    ],
  );
}

/** Enough for an error's message and where it came from; a reason is read by a person. */
const REASON_LENGTH_MAX = 2_000;

/** Makes later facts of the same aggregate wait. Safe to call twice. */
export async function park(sql: Sql, fact: Fact): Promise<void> {
  await sql.query(
    'insert into parked_aggregates (org_id, source, aggregate_id) values ($1, $2, $3) on conflict do nothing',
    [fact.orgId, fact.source, fact.aggregate.id],
  );
}

/**
 * Whether the fact's aggregate is parked. Call it in the transaction that then handles the fact or puts it aside: the
 * answer holds until that ends, because a replay cannot unpark in between.
 */
export async function isParked(sql: Sql, fact: Fact): Promise<boolean> {
  const rows = await sql.query(
    'select 1 as found from parked_aggregates where org_id = $1 and source = $2 and aggregate_id = $3 for share',
    [fact.orgId, fact.source, fact.aggregate.id],
  );
  return rows.length > 0;
}

export interface DeadLetter {
  readonly id: string;
  readonly source: string;
  readonly fact: Fact;
  readonly reason: string;
  readonly attempts: number;
  readonly createdAt: Date;
}

/** Which letters: all of a tenant, of one source, or of one aggregate. */
export interface DeadLetterFilter {
  readonly orgId: string;
  readonly source?: string | undefined;
  readonly aggregateId?: string | undefined;
}

/** One screen of an operator's tool; a replay works through as many pages as there are. */
const LETTERS_LIMIT = 200;

/** The tenant's letters that were not replayed yet, in order of arrival, at most 200. */
export async function listDeadLetters(sql: Sql, filter: DeadLetterFilter): Promise<DeadLetter[]> {
  return sql.query<DeadLetter & Record<string, unknown>>(
    `select id::text, source, envelope as fact, reason, attempts, created_at as "createdAt" from dead_letters
     where org_id = $1 and replayed_at is null
       and ($2::text is null or source = $2) and ($3::uuid is null or aggregate_id = $3)
     order by dead_letters.id limit ${LETTERS_LIMIT}`,
    [filter.orgId, filter.source ?? null, filter.aggregateId ?? null],
  );
}

/**
 * Applies the tenant's dead letters again, in order of arrival, and unparks each aggregate once none of its letters is
 * left. An aggregate whose letter fails again stays parked with that and its later letters; the others go on.
 *
 * `apply` is the handler itself, without the parked check, and claims the fact as always: so a replay may be repeated,
 * or interrupted, at any point. `transact` runs one transaction for the same tenant.
 */
export async function replayDeadLetters(
  transact: <T>(work: (sql: Sql) => Promise<T>) => Promise<T>,
  filter: DeadLetterFilter,
  apply: (fact: Fact) => Promise<void>,
): Promise<{ replayed: number; failed: { fact: Fact; error: unknown }[] }> {
  const failed: { fact: Fact; error: unknown }[] = [];
  let replayed = 0;
  for (const aggregate of await transact((sql) => listParked(sql, filter))) {
    let isDone = false;
    while (!isDone) {
      const letters = await transact((sql) => listDeadLetters(sql, aggregate));
      for (const letter of letters) {
        try {
          await apply(letter.fact);
        } catch (error) {
          failed.push({ fact: letter.fact, error });
          isDone = true;
          break;
        }
        await transact((sql) => markReplayed(sql, aggregate.orgId, letter));
        replayed += 1;
      }
      isDone ||= await transact((sql) => unpark(sql, aggregate));
    }
  }
  return { replayed, failed };
}

async function markReplayed(sql: Sql, orgId: string, letter: DeadLetter): Promise<void> {
  // A text parameter, whoever runs it: ids are bigint, which JSON and Prisma each treat in their own way.
  await sql.query('update dead_letters set replayed_at = now() where org_id = $1 and id = $2::text::bigint', [
    orgId,
    letter.id,
  ]);
}

interface ParkedAggregate {
  orgId: string;
  source: string;
  aggregateId: string;
}

/** Enough for one run; whoever has more parked repeats it. */
const PARKED_LIMIT = 1_000;

function listParked(sql: Sql, filter: DeadLetterFilter): Promise<ParkedAggregate[]> {
  return sql.query<ParkedAggregate & Record<string, unknown>>(
    `select org_id as "orgId", source, aggregate_id as "aggregateId" from parked_aggregates
     where org_id = $1 and ($2::text is null or source = $2) and ($3::uuid is null or aggregate_id = $3)
     order by parked_at limit ${PARKED_LIMIT}`,
    [filter.orgId, filter.source ?? null, filter.aggregateId ?? null],
  );
}

/**
 * False when a letter has arrived meanwhile. Several statements on purpose: the lock waits for those who found the
 * aggregate parked, and only a statement that starts after it sees the letters they have written.
 */
async function unpark(sql: Sql, { orgId, source, aggregateId }: ParkedAggregate): Promise<boolean> {
  const where = 'where org_id = $1 and source = $2 and aggregate_id = $3';
  const which = [orgId, source, aggregateId];
  await sql.query(`select 1 as found from parked_aggregates ${where} for update`, which);
  const letters = await sql.query(
    `select 1 as found from dead_letters ${where} and replayed_at is null limit 1`,
    which,
  );
  if (letters.length > 0) return false;
  await sql.query(`delete from parked_aggregates ${where}`, which);
  return true;
}
