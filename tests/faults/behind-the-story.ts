/**
 * What the databases and the streams must say when everything has come to rest, whatever was killed on the way:
 * I1 nothing lost, I3 nothing twice, I4 in order of versions; nothing put aside; every chain of the audit log whole.
 */

import { verifyAudit } from '@taskflow/kit/audit-verify';
import { createSystemPool } from '@taskflow/kit/sql';
import { type Subgraph, subgraphs } from '@taskflow/prisma/databases';
import { type FactType, facts } from '@taskflow/schema/events';
import pg from 'pg';
import { expect } from 'vitest';
import { until } from '../kit/until.ts';

/** How each database is reached as somebody whom no policy keeps from any row. */
export type Behind = Readonly<Record<Subgraph, string>>;

export async function select<R extends pg.QueryResultRow>(
  url: string,
  sql: string,
  values: unknown[] = [],
): Promise<R[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {}); // the query below reports it
  await client.connect();
  try {
    return (await client.query<R>(sql, values)).rows;
  } finally {
    await client.end();
  }
}

/** Facts that go through three services take a while on a machine that has restarted half of them. */
const REST_MS = 30_000;

/** Resolves when every fact is published, every consumer has handled each of its facts, and every audit entry is sealed. */
export async function untilAtRest(behind: Behind): Promise<void> {
  await until(
    'every fact to be published and handled',
    async () => {
      // In this order: what handling a fact has caused is then among the facts that are looked at.
      const handled = await handledFacts(behind);
      const sent = await allFacts(behind);
      const isPublished = sent.every(({ isPublished }) => isPublished);
      const isHandled = sent.flatMap(deliveriesOf).every((delivery) => handled.has(delivery));
      return isPublished && isHandled && (await areAllSealed(behind));
    },
    REST_MS,
  );
}

async function areAllSealed(behind: Behind): Promise<boolean> {
  const waiting = await Promise.all(
    subgraphs.map((source) => select(behind[source], 'select from audit_unsealed limit 1')),
  );
  return waiting.flat().length === 0;
}

interface AnyFact {
  source: Subgraph;
  id: string;
  type: FactType;
  isPublished: boolean;
}

async function allFacts(behind: Behind): Promise<AnyFact[]> {
  const perSource = await Promise.all(
    subgraphs.map((source) =>
      select<AnyFact>(
        behind[source],
        `select $1::text as source, fact_id as id, type, published_at is not null as "isPublished" from outbox`,
        [source],
      ),
    ),
  );
  return perSource.flat();
}

/** Each delivery that an inbox knows of, as often as it is written there. */
async function handledFacts(behind: Behind): Promise<Map<string, number>> {
  const handled = new Map<string, number>();
  for (const consumer of subgraphs) {
    const rows = await select<{ id: string; count: number }>(
      behind[consumer],
      'select fact_id as id, count(*)::int as count from inbox group by fact_id',
    );
    for (const { id, count } of rows) handled.set(`${consumer} ${id}`, count);
  }
  return handled;
}

function deliveriesOf({ id, type }: AnyFact): string[] {
  return facts[type].consumers.map((consumer) => `${consumer} ${id}`);
}

/** Call it at rest. */
export async function expectNothingLostOrTwice(behind: Behind): Promise<void> {
  for (const source of subgraphs) {
    expect(await numberingFaults(behind[source]), `the outbox of ${source}`).toEqual([]);
    expect(await versionFaults(behind[source]), `the order of ${source}`).toEqual([]);
    const aside = await select(
      behind[source],
      'select reason from dead_letters union all select aggregate_id::text from parked_aggregates',
    );
    expect(aside, `what ${source} has put aside`).toEqual([]);
    expect(await auditFaults(source, behind[source]), `the audit log of ${source}`).toEqual([]);
  }
  const expected = (await allFacts(behind)).flatMap(deliveriesOf).sort();
  const handled = await handledFacts(behind);
  expect([...handled.keys()].sort()).toEqual(expected);
  expect([...handled].filter(([, count]) => count !== 1)).toEqual([]);
}

/** Links of the audit log that are not what they must be. Nothing is old enough for a checkpoint, hence no keys. */
async function auditFaults(source: Subgraph, url: string): Promise<string[]> {
  const pool = createSystemPool({ connectionString: url });
  const faults: string[] = [];
  try {
    for await (const { problems } of verifyAudit(pool, { source, ring: [] })) faults.push(...problems);
  } finally {
    await pool.end();
  }
  return faults;
}

/** Tenants whose facts are not numbered 1, 2, 3, … and published to the last one. */
function numberingFaults(url: string): Promise<object[]> {
  return select(
    url,
    `select o.org_id, count(*), count(distinct seq), min(seq), max(seq), p.last_seq, count(published_at) as published
     from outbox o left join outbox_positions p using (org_id) group by o.org_id, p.last_seq
     having (min(seq), max(seq), count(distinct seq), count(published_at), count(distinct fact_id), p.last_seq)
       is distinct from (1::bigint, count(*), count(*), count(*), count(*), count(*))`,
  );
}

/** Facts whose number says that they came before an older version of the same thing. */
function versionFaults(url: string): Promise<object[]> {
  return select(
    url,
    `select * from (select aggregate_id, seq, aggregate_version as version,
       lag(aggregate_version) over (partition by org_id, aggregate_id order by seq) as before from outbox) o
     where version < before`,
  );
}

/**
 * The titles in one person's inbox, sorted, when that person has read nothing yet. The counts must agree, and so must their
 * version: it rises whenever a fact reaches the inbox, also one that is turned away at the last wall.
 */
export async function titlesOf(behind: Behind, userId: string): Promise<string[]> {
  const [notices, counts] = await Promise.all([
    select<{ title: string }>(behind.notification, 'select title from notifications where user_id = $1', [
      userId,
    ]),
    select(
      behind.notification,
      'select unread, unseen, version from notification_counts where user_id = $1',
      [userId],
    ),
  ]);
  expect(counts).toEqual([{ unread: notices.length, unseen: notices.length, version: notices.length }]);
  return notices.map(({ title }) => title).sort();
}
