import { type AuditEntry, type AuditOrigin, recordAudit } from '@taskflow/kit/audit';
import { quotaIn } from '@taskflow/kit/quota';
import type { Sql, Tenant } from '@taskflow/kit/tenant-pool';
import { accountQueries, accountsIn } from './accounts.ts';
import { apiKeyQueries, apiKeysIn } from './api-keys.ts';
import { credentialTokenQueries, credentialTokensIn } from './credential-tokens.ts';
import { dataExportQueries, dataExportsIn } from './data-exports.ts';
import { type Database, sqlOf } from './database.ts';
import { erasureQueries, erasuresIn } from './erasures.ts';
import { identitiesIn, identityQueries } from './identities.ts';
import { inviteQueries, invitesIn } from './invites.ts';
import { type LockRule, loginAttemptQueries } from './login-attempts.ts';
import { memberQueries, membersIn } from './members.ts';
import { organizationsIn } from './organizations.ts';
import { appendFacts, type OwnFact } from './outbox.ts';
import { accountDataQueries, personalDataIn } from './personal-data.ts';
import { planQueries, plansIn } from './plans.ts';
import { revocationQueries } from './revocations.ts';
import { sessionQueries, sessionsIn } from './sessions.ts';
import { signingKeyQueries } from './signing-keys.ts';
import { usageQueries } from './usage.ts';

export type UserStore = ReturnType<typeof createUserStore>;
export type UserTx = ReturnType<typeof transactionFor>;
export type JobTx = ReturnType<typeof jobFor>;

/** Everything this service reads and writes, by noun. */
export function createUserStore(database: Database, lockRule: LockRule) {
  return {
    transaction: <T>(tenant: Tenant, work: (tx: UserTx) => Promise<T>): Promise<T> =>
      database.transaction(tenant, (tx) => work(transactionFor(sqlOf(tx), tenant.orgId))),
    /** For the named jobs, which write accounts and what belongs to `orgId` at once, or neither. */
    job: <T>(orgId: string, work: (tx: JobTx) => Promise<T>): Promise<T> =>
      database.job((sql) => work(jobFor(sql, orgId))),
    accountData: accountDataQueries(database),
    accounts: accountQueries(database),
    apiKeys: apiKeyQueries(database),
    credentialTokens: credentialTokenQueries(database),
    dataExports: dataExportQueries(database),
    erasures: erasureQueries(database),
    identities: identityQueries(database),
    invites: inviteQueries(database),
    loginAttempts: loginAttemptQueries(database, lockRule),
    members: memberQueries(database),
    plans: planQueries(database),
    revocations: revocationQueries(database),
    sessions: sessionQueries(database),
    signingKeys: signingKeyQueries(database),
    usage: usageQueries(database),
  };
}

const jobFor = (sql: Sql, orgId: string) => ({
  ...transactionFor(sql, orgId),
  accounts: accountsIn(sql),
  credentialTokens: credentialTokensIn(sql),
  identities: identitiesIn(sql),
  /** The same transaction in another organisation of the same person. */
  inOrg: (otherId: string): UserTx => transactionFor(sql, otherId),
});

function transactionFor(sql: Sql, orgId: string) {
  return {
    sql,
    orgId,
    erasures: erasuresIn(sql, orgId),
    apiKeys: apiKeysIn(sql, orgId),
    dataExports: dataExportsIn(sql, orgId),
    invites: invitesIn(sql, orgId),
    members: membersIn(sql, orgId),
    organizations: organizationsIn(sql, orgId),
    personalData: personalDataIn(sql, orgId),
    plans: plansIn(sql, orgId),
    /** Of members who are not removed. */
    quota: quotaIn(sql, orgId),
    sessions: sessionsIn(sql, orgId),
    appendFacts: (...facts: readonly OwnFact[]) => appendFacts(sql, facts),
    /** One line of the organisation's audit log, in this transaction. */
    audit: (origin: AuditOrigin, entry: AuditEntry) => recordAudit(sql, orgId, origin, entry),
  };
}
