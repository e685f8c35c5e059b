import { type AuditEntry, type AuditOrigin, recordAudit } from '@taskflow/kit/audit';
import { quotaIn } from '@taskflow/kit/quota';
import type { Tenant } from '@taskflow/kit/tenant-pool';
import { type Database, sqlOf, type Tx } from './database.ts';
import { memberQueries, membersIn } from './members.ts';
import { organizationQueries, organizationsIn } from './organizations.ts';
import { appendFacts, type OwnFact } from './outbox.ts';
import { personalDataIn } from './personal-data.ts';
import { planQueries, plansIn } from './plans.ts';
import { projectQueries, projectsIn } from './projects.ts';
import { teamMemberQueries, teamMembersIn } from './team-members.ts';
import { teamQueries, teamsIn } from './teams.ts';
import { usageQueries } from './usage.ts';

export type OrgStore = ReturnType<typeof createOrgStore>;
export type OrgTx = ReturnType<typeof transactionFor>;

/** Everything this service reads and writes, by noun. */
export function createOrgStore(database: Database) {
  return {
    transaction: <T>(tenant: Tenant, work: (tx: OrgTx) => Promise<T>): Promise<T> =>
      database.transaction(tenant, (tx) => work(transactionFor(tx, tenant.orgId))),
    organizations: organizationQueries(database),
    teams: teamQueries(database),
    teamMembers: teamMemberQueries(database),
    plans: planQueries(database),
    projects: projectQueries(database),
    usage: usageQueries(database),
    members: memberQueries(database),
  };
}

function transactionFor(tx: Tx, orgId: string) {
  const sql = sqlOf(tx);
  return {
    sql,
    organizations: organizationsIn(sql, orgId),
    teams: teamsIn(sql, orgId),
    teamMembers: teamMembersIn(sql, orgId),
    plans: plansIn(sql, orgId),
    projects: projectsIn(sql, orgId),
    /** Of projects. */
    quota: quotaIn(sql, orgId),
    members: membersIn(sql, orgId),
    personalData: personalDataIn(sql, orgId),
    appendFacts: (...facts: readonly OwnFact[]) => appendFacts(sql, facts),
    /** One line of the organisation's audit log, in this transaction. */
    audit: (origin: AuditOrigin, entry: AuditEntry) => recordAudit(sql, orgId, origin, entry),
  };
}
