/**
 * A counted quota: how much of one thing a tenant has, kept exactly, and how much it may have.
 *
 *   take ─▶ one more, counted and compared in one statement, in the transaction that makes the thing
 *   release ─▶ one less, in the transaction that takes it away
 *   note ─▶ what is allowed: within a window of time one number, before and after it another
 *
 * The counter is one row per tenant, so whoever takes waits for those who have taken and not committed yet. Take last in a
 * transaction: then they wait for a commit and for nothing else. Of two hundred who take at once where a hundred are left,
 * a hundred get one.
 * Nothing is ever taken away when the allowance shrinks: whoever has more than is allowed keeps it, and gets no more.
 */
import { DomainError } from './errors.ts';
import type { Sql } from './sql.ts';

export interface Quota {
  readonly used: number;
  /** What is allowed now; null is no limit, or none that was told yet. */
  readonly limit: number | null;
  /** What the allowance is called; null outside of its window, and before one was told. */
  readonly plan: string | null;
}

export interface Allowance {
  readonly plan: string;
  readonly limit: number | null;
  /** Outside of the window. */
  readonly otherwise: number | null;
  readonly startsAt: string;
  /** Null is for ever. */
  readonly endsAt: string | null;
  /** Of what told it; an older one changes nothing. */
  readonly version: number;
}

/** How a refusal is put: "The plan allows 50 projects" and what a person can do about it. */
export interface QuotaWords {
  readonly things: string;
  readonly advice: string;
}

/** By the clock of the database, which all replicas share. */
const IS_WITHIN = 'coalesce(q.starts_at <= now() and (q.ends_at is null or now() < q.ends_at), false)';
const LIMIT = `case when ${IS_WITHIN} then q.allowed else q.allowed_otherwise end`;
const COLUMNS = `q.used, ${LIMIT} as "limit", case when ${IS_WITHIN} then q.plan end as plan`;

export type Quotas = ReturnType<typeof quotaIn>;

/** The quota of one tenant; `sql` is a transaction for `take`, `release` and `note`. */
export function quotaIn(sql: Sql, orgId: string) {
  async function read(): Promise<Quota> {
    const [row] = await sql.query<Quota>(`select ${COLUMNS} from quotas q where q.org_id = $1::uuid`, [
      orgId,
    ]);
    return row ?? { used: 0, limit: null, plan: null };
  }

  return {
    /** What is used and allowed now; a tenant that nothing was counted for yet has used 0. */
    read,

    /** One more. Throws QUOTA_EXCEEDED when there is no room; the transaction has to be rolled back then. */
    async take(words: QuotaWords): Promise<void> {
      const taken = await sql.query(
        `insert into quotas as q (org_id, used) values ($1::uuid, 1)
           on conflict (org_id) do update set used = q.used + 1 where coalesce(q.used < ${LIMIT}, true)
           returning q.used`,
        [orgId],
      );
      if (taken.length === 0) throw quotaExceeded(await read(), words);
    },

    /** Throws QUOTA_EXCEEDED when there is no room now. Takes nothing: for what will be taken later. */
    async requireRoom(words: QuotaWords): Promise<void> {
      const quota = await read();
      if (quota.limit !== null && quota.used >= quota.limit) throw quotaExceeded(quota, words);
    },

    /**
     * What the counter says, and what `count` counts while nobody takes or releases: they differ after a bug only. `isRepair`
     * sets the counter to it.
     */
    async compare(
      count: () => Promise<number>,
      { isRepair }: { isRepair: boolean },
    ): Promise<{ used: number; counted: number }> {
      const [row] = await sql.query<{ used: number }>(
        'select used from quotas where org_id = $1::uuid for update',
        [orgId],
      );
      const counted = await count();
      const used = row?.used ?? 0;
      if (isRepair && used !== counted) {
        await sql.query('update quotas set used = $2::int where org_id = $1::uuid', [orgId, counted]);
      }
      return { used, counted };
    },

    /** One less. */
    async release(): Promise<void> {
      await sql.query('update quotas set used = greatest(used - 1, 0) where org_id = $1::uuid', [orgId]);
    },

    /** Keeps the newest allowance; false when this is not newer. */
    async note(allowance: Allowance): Promise<boolean> {
      const { plan, limit, otherwise, startsAt, endsAt, version } = allowance;
      const noted = await sql.query(
        `insert into quotas as q (org_id, plan, allowed, allowed_otherwise, starts_at, ends_at, version)
           values ($1::uuid, $2, $3::int, $4::int, $5::timestamptz, $6::timestamptz, $7::int)
           on conflict (org_id) do update set plan = excluded.plan, allowed = excluded.allowed,
             allowed_otherwise = excluded.allowed_otherwise, starts_at = excluded.starts_at,
             ends_at = excluded.ends_at, version = excluded.version where q.version < excluded.version
           returning q.version`,
        [orgId, plan, limit, otherwise, startsAt, endsAt, version],
      );
      return noted.length > 0;
    },
  };
}

function quotaExceeded({ used, limit, plan }: Quota, { things, advice }: QuotaWords): DomainError {
  const allows = plan === null ? 'Without a contract the plan allows' : `The plan ${plan} allows`;
  const number = new Intl.NumberFormat('en');
  return new DomainError(
    'QUOTA_EXCEEDED',
    `${allows} ${number.format(limit ?? 0)} ${things}, and the organisation has ${number.format(used)}. ${advice}`,
  );
}
