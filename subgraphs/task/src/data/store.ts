import { type AuditEntry, type AuditOrigin, recordAudit } from '@taskflow/kit/audit';
import { quotaIn } from '@taskflow/kit/quota';
import type { Tenant } from '@taskflow/kit/tenant-pool';
import { type Database, sqlOf, type Tx } from './database.ts';
import { memberQueries, membersIn } from './members.ts';
import { appendFacts, type OwnFact } from './outbox.ts';
import { personalDataIn } from './personal-data.ts';
import { projectQueries, projectsIn } from './projects.ts';
import { settingsIn } from './settings.ts';
import { taskListQueries } from './task-lists.ts';
import { taskQueries, tasksIn } from './tasks.ts';
import { teamsIn } from './teams.ts';
import { usageQueries } from './usage.ts';

export type TaskStore = ReturnType<typeof createTaskStore>;
export type TaskTx = ReturnType<typeof transactionFor>;

/** Everything this service reads and writes, by noun. */
export function createTaskStore(database: Database) {
  return {
    transaction: <T>(tenant: Tenant, work: (tx: TaskTx) => Promise<T>): Promise<T> =>
      database.transaction(tenant, (tx) => work(transactionFor(tx, tenant.orgId))),
    tasks: taskQueries(database),
    taskLists: taskListQueries(database),
    members: memberQueries(database),
    projects: projectQueries(database),
    usage: usageQueries(database),
  };
}

function transactionFor(tx: Tx, orgId: string) {
  const sql = sqlOf(tx);
  return {
    sql,
    tasks: tasksIn(sql, orgId),
    members: membersIn(sql, orgId),
    teams: teamsIn(sql, orgId),
    projects: projectsIn(sql, orgId),
    settings: settingsIn(sql, orgId),
    /** Of tasks that are not deleted. */
    quota: quotaIn(sql, orgId),
    personalData: personalDataIn(sql, orgId),
    appendFacts: (...facts: readonly OwnFact[]) => appendFacts(sql, facts),
    /** One line of the organisation's audit log, in this transaction. */
    audit: (origin: AuditOrigin, entry: AuditEntry) => recordAudit(sql, orgId, origin, entry),

    /**
     * Changes of what decides on visibility happen one after the other within an organisation: each asks what the
     * others have made, and two at once would both overlook it.
     */
    async lockVisibility(): Promise<void> {
      // As text: Prisma reads no void.
      await sql.query(
        `select pg_advisory_xact_lock(hashtextextended('visibility ' || $1, 0))::text as locked`,
        [orgId],
      );
    },
  };
}
