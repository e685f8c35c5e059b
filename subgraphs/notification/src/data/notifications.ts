import { type AuditEntry, type AuditOrigin, recordAudit } from '@taskflow/kit/audit';
import type { Filter } from '@taskflow/kit/filter';
import { createFilter, instantColumn, Parameters, textColumn } from '@taskflow/kit/filter';
import { createKeyset, type Page, type Position } from '@taskflow/kit/page';
import type { Tenant } from '@taskflow/kit/tenant-pool';
import { type Database, sqlOf, type Tx } from './database.ts';
import { mailsIn } from './mails.ts';
import { appendFacts, type OwnFact } from './outbox.ts';
import { personalDataIn } from './personal-data.ts';

export interface NotificationRow {
  id: string;
  userId: string;
  kind: string;
  title: string;
  taskId: string | null;
  actorId: string | null;
  readAt: Date | null;
  seenAt: Date | null;
  createdAt: Date;
}

export type NewNotification = Omit<NotificationRow, 'readAt' | 'seenAt'> & { factId: string };

export interface Counts {
  unread: number;
  unseen: number;
}

/** A person within an organisation: whose inbox it is. */
export type Owner = Tenant & { readonly userId: string };

const COLUMNS = `n.id, n.user_id as "userId", n.kind, n.title, n.task_id as "taskId", n.actor_id as "actorId",
  n.read_at as "readAt", n.seen_at as "seenAt", n.created_at as "createdAt"`;

/** Newest first; served by notifications_created_at_idx. */
export const newestFirst = createKeyset<NotificationRow>([
  { sql: 'n.created_at', type: 'timestamptz', order: 'desc', of: (row) => row.createdAt.toISOString() },
  { sql: 'n.id', type: 'uuid', order: 'desc', of: (row) => row.id },
]);

const filterSql = createFilter({
  kind: textColumn('n.kind'),
  readAt: instantColumn('n.read_at'),
  seenAt: instantColumn('n.seen_at'),
  createdAt: instantColumn('n.created_at'),
});

export interface ListQuery {
  filter: Filter | null | undefined;
  page: Page;
  position: Position | null;
  /** What relative dates of the filter count from. */
  now: Date;
}

/** Counting stops here; the SDL promises it. */
const COUNT_MAX = 10_000;

export type NotificationStore = ReturnType<typeof createNotificationStore>;
export type NotificationTx = ReturnType<typeof notificationsIn>;

export function createNotificationStore(database: Database) {
  return {
    transaction: <T>(tenant: Tenant, work: (tx: NotificationTx) => Promise<T>): Promise<T> =>
      database.transaction(tenant, (tx) => work(notificationsIn(tx, tenant.orgId))),

    /** At most `page.size + 1` rows of one inbox, newest first when forward. */
    list: (owner: Owner, { filter, page, position, now }: ListQuery): Promise<NotificationRow[]> => {
      const parameters = new Parameters();
      const where = inboxWhere(owner, filter, now, parameters);
      const beyond = position
        ? newestFirst.after(position.values, page.direction, parameters.values.length + 1)
        : { text: 'true', values: [] };
      const text = `select ${COLUMNS} from notifications n where ${where} and ${beyond.text}
        order by ${newestFirst.orderBy(page.direction)} limit ${page.size + 1}`;
      const values = [...parameters.values, ...beyond.values];
      return database.read(owner, (tx) => sqlOf(tx).query<NotificationRow>(text, values));
    },

    /** How many pass the filter, 10,000 at most. */
    countList: async (owner: Owner, filter: Filter | null | undefined, now: Date): Promise<number> => {
      const parameters = new Parameters();
      const where = inboxWhere(owner, filter, now, parameters);
      const text = `select count(*)::int as total from
        (select from notifications n where ${where} limit ${COUNT_MAX}) as counted`;
      const rows = await database.read(owner, (tx) =>
        sqlOf(tx).query<{ total: number }>(text, parameters.values),
      );
      return rows[0]?.total ?? 0;
    },

    /** Those of `ids` that lie in the owner's inbox, in no order. */
    findMany: (owner: Owner, ids: readonly string[]): Promise<NotificationRow[]> =>
      database.read(owner, (tx) =>
        tx.notification.findMany({
          where: { orgId: owner.orgId, userId: owner.userId, id: { in: [...ids] } },
        }),
      ),

    counts: async (owner: Owner): Promise<Counts> => {
      const row = await database.read(owner, (tx) =>
        tx.notificationCounts.findFirst({ where: { orgId: owner.orgId, userId: owner.userId } }),
      );
      return { unread: row?.unread ?? 0, unseen: row?.unseen ?? 0 };
    },
  };
}

function inboxWhere(
  owner: Owner,
  filter: Filter | null | undefined,
  now: Date,
  parameters: Parameters,
): string {
  const org = parameters.add(owner.orgId, 'uuid');
  const user = parameters.add(owner.userId, 'uuid');
  const matches = filterSql(filter, parameters, { now, viewerId: owner.userId });
  return `n.org_id = ${org} and n.user_id = ${user} and ${matches}`;
}

/** What one transaction may do. Lock an inbox before touching it: the lock gives facts about it their order. */
export function notificationsIn(tx: Tx, orgId: string) {
  const sql = sqlOf(tx);

  async function addToCounts(userId: string, unread: number, unseen: number): Promise<Counts> {
    const [counts = { unread: 0, unseen: 0 }] = await sql.query<Counts>(
      `update notification_counts set unread = unread + $3::int, unseen = unseen + $4::int
         where org_id = $1::uuid and user_id = $2::uuid returning unread, unseen`,
      [orgId, userId, unread, unseen],
    );
    return counts;
  }

  return {
    sql,
    mails: mailsIn(sql, orgId),
    personalData: personalDataIn(sql, orgId),
    appendFacts: (...facts: readonly OwnFact[]) => appendFacts(sql, facts),
    /** One line of the organisation's audit log, in this transaction. */
    audit: (origin: AuditOrigin, entry: AuditEntry) => recordAudit(sql, orgId, origin, entry),

    /** All that lies in an inbox, and its counts. */
    async deleteInbox(userId: string): Promise<void> {
      await sql.query('delete from notifications where org_id = $1::uuid and user_id = $2::uuid', [
        orgId,
        userId,
      ]);
      await sql.query('delete from notification_counts where org_id = $1::uuid and user_id = $2::uuid', [
        orgId,
        userId,
      ]);
    },

    /** Locks one inbox and answers its next version. */
    async lockInbox(userId: string): Promise<number> {
      const rows = await sql.query<{ version: number }>(
        `insert into notification_counts as c (org_id, user_id, version) values ($1::uuid, $2::uuid, 1)
           on conflict (org_id, user_id) do update set version = c.version + 1 returning version`,
        [orgId, userId],
      );
      return rows[0]?.version ?? 1;
    },

    /** The counts with it; null when this fact has already made one for this person. */
    async insert(row: NewNotification): Promise<Counts | null> {
      const inserted = await sql.query(
        `insert into notifications (org_id, id, user_id, kind, title, task_id, actor_id, fact_id, created_at)
           values ($1::uuid, $2::uuid, $3::uuid, $4, $5, $6::uuid, $7::uuid, $8::uuid, $9::timestamptz)
           on conflict (org_id, user_id, fact_id) do nothing returning id`,
        [orgId, row.id, row.userId, row.kind, row.title, row.taskId, row.actorId, row.factId, row.createdAt],
      );
      return inserted.length === 0 ? null : addToCounts(row.userId, 1, 1);
    },

    /** Marks the unread ones among `ids` (null: all), counts them, and answers which they were. */
    async markRead(
      userId: string,
      ids: readonly string[] | null,
      at: Date,
    ): Promise<{ ids: string[]; counts: Counts }> {
      const marked = await sql.query<{ id: string; wasUnseen: boolean }>(
        `with target as (
           select id, seen_at from notifications
             where org_id = $1::uuid and user_id = $2::uuid and read_at is null
               and ($3::uuid[] is null or id = any($3::uuid[]))
             for update)
         update notifications n
           set read_at = $4::timestamptz, seen_at = coalesce(n.seen_at, $4::timestamptz), version = n.version + 1
           from target where n.org_id = $1::uuid and n.id = target.id
           returning n.id, target.seen_at is null as "wasUnseen"`,
        [orgId, userId, ids, at],
      );
      const unseen = marked.filter((row) => row.wasUnseen).length;
      return {
        ids: marked.map((row) => row.id),
        counts: await addToCounts(userId, -marked.length, -unseen),
      };
    },
  };
}
