import { gather, gatherLists, type Lists } from '@taskflow/kit/personal-data';
import { type Sql, sqlOf } from '@taskflow/kit/tenant-pool';
import type { Database } from './database.ts';

/** What this service holds about a person: for each list a statement over $1, the organisation, and $2, the person. */
const LISTS = {
  notifications: `select n.id, n.kind, n.title, n.task_id as "taskId", n.actor_id as "actorId", n.read_at as "readAt",
      n.seen_at as "seenAt", n.created_at as "createdAt"
    from notifications n where n.org_id = $1::uuid and n.user_id = $2::uuid order by n.created_at desc, n.id desc`,
  notificationCounts: `select c.unread, c.unseen from notification_counts c
    where c.org_id = $1::uuid and c.user_id = $2::uuid`,
};

/** Without tokens, sealed or not. Known by the address alone: a mail may go to who is no member yet. */
const MAILS = `select m.id, m.template, m.locale, m.template_values as "values", m.state, m.created_at as "createdAt",
    m.sent_at as "sentAt"
  from mails m where m.org_id = $1::uuid and encode(sha256(convert_to(m.recipient, 'UTF8')), 'hex') = $2
  order by m.created_at desc, m.id desc`;

export type MailHistory = ReturnType<typeof createMailHistory>;

/** The job data-export: reads the mails of one organisation to one address, as the system role, since serving reads none. */
export const createMailHistory = ({ system }: Pick<Database, 'system'>) => ({
  mailsTo: (orgId: string, emailHash: string): Promise<Lists> =>
    gatherLists(sqlOf(system), [orgId, emailHash], { mails: MAILS }),
});

export const personalDataIn = (sql: Sql, orgId: string) => ({
  /** Reads whole lists: for a person's own request, now and then. */
  gather: (userId: string): Promise<Lists> => gather(sql, { orgId, userId }, LISTS),
});
