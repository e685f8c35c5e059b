/**
 * The job usage-flush: brings the calls that routers have counted in Redis into PostgreSQL, and back where Redis lost them.
 *
 *   callers of the month ─▶ those seen since the last run ─▶ every counter of theirs, never smaller than before ─▶ api_call_counts
 *                                                            └─ a counter that Redis knows less of ─▶ told to Redis
 *
 * Every replica does it for itself: each number says how much was counted in all (kit/tally.ts), so doing it twice, at once
 * or only half changes nothing that the next run does not make good.
 */
import { createRound } from '@taskflow/kit/background';
import { isUuid } from '@taskflow/kit/filter';
import type { Log } from '@taskflow/kit/log';
import type { RedisConnections } from '@taskflow/kit/redis';
import { answerOf, countersOf, tell } from '@taskflow/kit/tally';
import { sqlOf } from '@taskflow/kit/tenant-pool';
import type { Database } from './database.ts';

/** Routers say once a minute that somebody calls, and tell how often within a second; clocks differ. */
const OVERLAP_MS = 180_000;
/** Organisations of one round trip. */
const BATCH = 500;
/** A year can be looked back at. */
const KEEP = "interval '13 months'";
/** Longer than the month is counted, and the next one is still looked at. */
const TTL_MS = 70 * 86_400_000;

interface Counted {
  orgId: string;
  counter: string;
  calls: number;
}

export function createUsageFlush(
  { system }: Pick<Database, 'system'>,
  redis: Pick<RedisConnections, 'commands' | 'keys' | 'status'>,
  { intervalMs, log }: { intervalMs: number; log: Log },
) {
  const sql = sqlOf(system);
  /** By month: up to when its callers have been looked at. */
  const seen = new Map<string, number>();

  async function flush(): Promise<void> {
    if (redis.status() !== 'up') return; // what waits there waits
    const now = new Date();
    const months = [monthOf(now, -1), monthOf(now, 0)];
    for (const month of seen.keys()) if (!months.includes(month)) seen.delete(month);
    for (const month of months) {
      const startedAt = Date.now();
      const since = (seen.get(month) ?? 0) - OVERLAP_MS;
      const found = await redis.commands.zrangebyscore(redis.keys.apiCallers(month), since, '+inf');
      // What is no id would stop all of them in PostgreSQL.
      const callers = found.filter(isUuid);
      for (let at = 0; at < callers.length; at += BATCH)
        await flushSome(month, callers.slice(at, at + BATCH));
      seen.set(month, startedAt);
    }
    await sql.query(`delete from api_call_counts where month < now() - ${KEEP}`);
  }

  async function flushSome(month: string, orgIds: string[]): Promise<void> {
    const inRedis = await readCounters(month, orgIds);
    if (inRedis.length > 0) await keep(month, inRedis);
    const known = new Map(inRedis.map(({ orgId, counter, calls }) => [`${orgId} ${counter}`, calls]));
    const kept = await sql.query<Counted>(
      `select org_id as "orgId", counter, calls::float8 as calls from api_call_counts
         where month = $1::date and org_id = any($2::uuid[])`,
      [`${month}-01`, orgIds],
    );
    const lost = kept.filter(({ orgId, counter, calls }) => (known.get(`${orgId} ${counter}`) ?? 0) < calls);
    if (lost.length > 0) await restore(month, lost);
  }

  async function readCounters(month: string, orgIds: string[]): Promise<Counted[]> {
    const pipeline = redis.commands.pipeline();
    for (const orgId of orgIds) pipeline.hgetall(redis.keys.apiCalls(orgId, month));
    const answers = (await pipeline.exec()) ?? [];
    return answers.flatMap(([error, hash], at) => {
      if (error) throw error;
      const orgId = orgIds[at] ?? '';
      return countersOf(hash as Record<string, string>).map(({ counter, counted }) => ({
        ...{ orgId, counter, calls: counted },
      }));
    });
  }

  /** In one order, so that two replicas wait for each other and never in a circle. */
  async function keep(month: string, counts: Counted[]): Promise<void> {
    await sql.query(
      `insert into api_call_counts as c (org_id, month, counter, calls)
         select given.org_id, $1::date, given.counter, given.calls
           from unnest($2::uuid[], $3::text[], $4::bigint[]) as given (org_id, counter, calls)
           order by given.org_id, given.counter
         on conflict (org_id, month, counter) do update set calls = excluded.calls where c.calls < excluded.calls`,
      [
        `${month}-01`,
        ...[counts.map((row) => row.orgId), counts.map((row) => row.counter), counts.map((row) => row.calls)],
      ],
    );
  }

  async function restore(month: string, counts: Counted[]): Promise<void> {
    const pipeline = redis.commands.pipeline();
    for (const { orgId, counter, calls } of counts) {
      const told = { counted: calls, wanted: 0, limit: null, ttlMs: TTL_MS };
      tell(pipeline, redis.keys.apiCalls(orgId, month), counter, told);
    }
    for (const [error, answer] of (await pipeline.exec()) ?? []) {
      if (error) throw error;
      answerOf(answer);
    }
    log.info({ counters: counts.length, month }, 'counted calls that Redis had lost were told to it again');
  }

  return { flush, ...createRound(log, 'keeping counted calls', intervalMs, flush) };
}

/** `2026-11`, in UTC; `months` later. */
function monthOf(date: Date, months: number): string {
  return new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months)).toISOString().slice(0, 7);
}
