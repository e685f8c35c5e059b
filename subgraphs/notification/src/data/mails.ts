import type { Sql } from '@taskflow/kit/tenant-pool';

export interface NewMail {
  readonly id: string;
  readonly factId: string;
  readonly recipient: string;
  readonly template: string;
  readonly locale: string | null;
  readonly values: Readonly<Record<string, string>>;
  readonly sealed: string | null;
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
});
