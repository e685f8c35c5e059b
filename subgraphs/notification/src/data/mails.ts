import { type Sql, sqlOf } from '@taskflow/kit/tenant-pool';
import type { Database } from './database.ts';

export interface NewMail {
  readonly id: string;
  readonly factId: string;
  readonly recipient: string;
  readonly template: string;
  readonly locale: string | null;
  readonly values: Readonly<Record<string, string>>;
  readonly sealed: string | null;
}

/** A mail that somebody has taken to send. */
export interface DueMail {
  readonly orgId: string;
  readonly id: string;
  readonly recipient: string;
  readonly template: string;
  readonly values: Readonly<Record<string, string>>;
  readonly sealed: string | null;
  /** With the one that was just begun. */
  readonly attempts: number;
  /** Whether this attempt is the last: the mail has waited for as long as it may. */
  readonly isLast: boolean;
}

/** What one transaction may do with mails: queue them. */
export const mailsIn = (sql: Sql, orgId: string) => ({
  /** Once for each fact. No conflict target: naming one would ask for the right to read. */
  async queue(mail: NewMail): Promise<void> {
    await sql.query(
      `insert into mails (org_id, id, fact_id, recipient, template, locale, template_values, sealed)
         values ($1::uuid, $2::uuid, $3::uuid, $4, $5, $6, $7::jsonb, $8) on conflict do nothing`,
      [
        ...[orgId, mail.id, mail.factId, mail.recipient, mail.template, mail.locale],
        ...[JSON.stringify(mail.values), mail.sealed],
      ],
    );
  },

  /** Every mail to an address, sent or not. The serving role may not read them: the function of the migration does. */
  async forget(recipient: string): Promise<void> {
    await sql.query('select forget_mails($1::uuid, $2)::text as forgotten', [orgId, recipient]);
  },
});

export interface LeaseRule {
  /** How long a mail that was taken stays with whoever took it. Longer than any attempt lasts. */
  readonly leaseMs: number;
  /** For how long sending is tried. */
  readonly giveUpAfterMs: number;
}

type Key = Pick<DueMail, 'orgId' | 'id' | 'attempts'>;

/** The mail is still with the attempt that took it: a lease that ran out has made another owner. */
const STILL_HELD = `org_id = $1::uuid and id = $2::uuid and attempts = $3::int and state = 'QUEUED'`;

export type MailQueue = ReturnType<typeof mailQueue>;

/** The queue as the jobs mail-sending and mail-retention see it: of all organisations. */
export function mailQueue(database: Pick<Database, 'system'>, { leaseMs, giveUpAfterMs }: LeaseRule) {
  const sql: Sql = sqlOf(database.system);
  return {
    /**
     * Takes up to `limit` mails that are due, the longest due first. Each goes to one taker, whatever the number of
     * replicas: who comes at the same time passes over the locked rows, who comes later finds them leased.
     */
    take: (limit: number): Promise<DueMail[]> =>
      sql.query<DueMail & Record<string, unknown>>(
        `update mails m set attempts = m.attempts + 1, next_attempt_at = now() + $2::int * interval '1 ms'
           from (select org_id, id from mails where state = 'QUEUED' and next_attempt_at <= now()
                   order by next_attempt_at limit $1::int for update skip locked) due
           where m.org_id = due.org_id and m.id = due.id
           returning m.org_id as "orgId", m.id, m.recipient, m.template, m.template_values as "values", m.sealed,
             m.attempts, m.created_at < now() - $3::int * interval '1 ms' as "isLast"`,
        [limit, leaseMs, giveUpAfterMs],
      ),

    async markSent({ orgId, id, attempts }: Key): Promise<void> {
      await sql.query(
        `update mails set state = 'SENT', sent_at = now(), last_error = null, sealed = null, template_values = '{}'
           where ${STILL_HELD}`,
        [orgId, id, attempts],
      );
    },

    async markFailed({ orgId, id, attempts }: Key, reason: string): Promise<void> {
      await sql.query(
        `update mails set state = 'FAILED', last_error = $4, sealed = null, template_values = '{}'
           where ${STILL_HELD}`,
        [orgId, id, attempts, reason],
      );
    },

    /** Due again after `delayMs`. */
    async putBack({ orgId, id, attempts }: Key, delayMs: number, reason: string): Promise<void> {
      await sql.query(
        `update mails set next_attempt_at = now() + $4::int * interval '1 ms', last_error = $5 where ${STILL_HELD}`,
        [orgId, id, attempts, delayMs, reason],
      );
    },

    /** A week in which one can see that a mail was sent, a month for those that were not. */
    async deleteSettled(): Promise<void> {
      await sql.query(
        `delete from mails where (state = 'SENT' and created_at < now() - interval '7 days')
           or (state = 'FAILED' and created_at < now() - interval '30 days')`,
      );
    },
  };
}
