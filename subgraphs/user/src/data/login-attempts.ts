/**
 * Failed sign-ins in PostgreSQL, for while Redis is away (login-windows.ts); and the locks, for when it has lost them.
 *
 *   password checked first ─▶ fail():    not locked? count it (the last one locks) : locked
 *                          └▶ succeed(): not locked? forget the failures            : locked
 *
 * Each is one statement, and the row's lock puts concurrent ones in order. So however many come at once, exactly
 * `failuresMax` of them learn that their password was wrong; the others learn nothing, even with the right one.
 */
import { sqlOf } from '@taskflow/kit/tenant-pool';
import type { Database } from './database.ts';

export interface AttemptKey {
  /** SHA-256 of the lower-case address, so that unknown ones are counted in the same way. */
  readonly accountHash: Uint8Array;
  /** Where the attempt came from. */
  readonly address: string;
}

export interface LockRule {
  readonly failuresMax: number;
  /** How long a lock lasts, and how long a failure is remembered. */
  readonly lockMs: number;
}

export interface Failure {
  /** 0 when it was counted: somebody was told that the password is wrong. */
  readonly lockedForMs: number;
  /** It was the last one that is counted. */
  readonly hasLocked: boolean;
}

/** Counts failures, exactly. */
export interface LoginAttempts {
  /** For how many milliseconds the pair is locked, 0 when it is not. */
  lockedForMs(key: AttemptKey): Promise<number>;
  fail(key: AttemptKey): Promise<Failure>;
  /** Forgets the failures of the pair, unless it is locked; for how long it is. */
  succeed(key: AttemptKey): Promise<number>;
  /** Failures and locks of the account, from everywhere. */
  forget(accountHash: Uint8Array): Promise<void>;
}

export type StoredAttempts = ReturnType<typeof loginAttemptQueries>;

const REMAINING_MS = 'ceil(extract(epoch from a.locked_until - now()) * 1000)::int';
const MS = `* interval '1 millisecond'`;

export function loginAttemptQueries(database: Database, { failuresMax, lockMs }: LockRule) {
  const sql = sqlOf(database.system);

  async function lockedForMs({ accountHash, address }: AttemptKey): Promise<number> {
    const [row] = await sql.query<{ ms: number }>(
      `select ${REMAINING_MS} as ms from login_attempts a
         where a.account_hash = $1 and a.address = $2 and a.locked_until > now()`,
      [accountHash, address],
    );
    return row?.ms ?? 0;
  }

  return {
    lockedForMs,

    async fail(key: AttemptKey): Promise<Failure> {
      const failures = `case when a.locked_until is not null or a.updated_at < now() - $4::float8 ${MS}
        then 1 else a.failures + 1 end`;
      const [counted] = await sql.query<{ hasLocked: boolean }>(
        `insert into login_attempts as a (account_hash, address, failures, locked_until)
           values ($1, $2, 1, case when $3::int <= 1 then now() + $4::float8 ${MS} end)
         on conflict (account_hash, address) do update set
           failures = ${failures},
           locked_until = case when ${failures} >= $3::int then now() + $4::float8 ${MS} end,
           updated_at = now()
           where a.locked_until is null or a.locked_until <= now()
         returning locked_until is not null as "hasLocked"`,
        [key.accountHash, key.address, failuresMax, lockMs],
      );
      // Not counted means locked: at least for the millisecond in which we asked.
      if (counted) return { lockedForMs: 0, hasLocked: counted.hasLocked };
      return { lockedForMs: Math.max(1, await lockedForMs(key)), hasLocked: false };
    },

    /** Locks the pair from now on, whatever was counted. */
    async lock({ accountHash, address }: AttemptKey): Promise<void> {
      await sql.query(
        `insert into login_attempts as a (account_hash, address, failures, locked_until)
           values ($1, $2, $3::int, now() + $4::float8 ${MS})
         on conflict (account_hash, address) do update set
           failures = $3::int, locked_until = now() + $4::float8 ${MS}, updated_at = now()`,
        [accountHash, address, failuresMax, lockMs],
      );
    },

    /** From all addresses. */
    async forget(accountHash: Uint8Array): Promise<void> {
      await sql.query('delete from login_attempts where account_hash = $1', [accountHash]);
    },

    async succeed({ accountHash, address }: AttemptKey): Promise<number> {
      const [row] = await sql.query<{ ms: number | null }>(
        `update login_attempts a set
             failures = case when a.locked_until > now() then a.failures else 0 end,
             locked_until = case when a.locked_until > now() then a.locked_until end,
             updated_at = now()
           where a.account_hash = $1 and a.address = $2
           returning ${REMAINING_MS} as ms`,
        [accountHash, address],
      );
      return Math.max(0, row?.ms ?? 0);
    },
  };
}
