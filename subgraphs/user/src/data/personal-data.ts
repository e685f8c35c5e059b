import { gather, gatherLists, type Lists } from '@taskflow/kit/personal-data';
import { type Sql, sqlOf } from '@taskflow/kit/tenant-pool';
import type { Database } from './database.ts';

/** What this service holds about a person: for each list a statement over $1, the organisation, and $2, the person. */
const LISTS = {
  member: `select m.id, m.name, m.email, m.role, m.status, m.created_at as "createdAt", m.updated_at as "updatedAt",
      m.archived_at as "archivedAt", m.version
    from members m where m.org_id = $1::uuid and m.id = $2::uuid`,
  sessions: `select s.id, s.user_agent as "userAgent", s.address, s.created_at as "createdAt",
      s.last_active_at as "lastActiveAt", s.expires_at as "expiresAt", s.revoked_at as "revokedAt",
      s.revoked_reason as "revokedReason"
    from sessions s where s.org_id = $1::uuid and s.user_id = $2::uuid order by s.created_at desc, s.id desc`,
  invitesMade: `select i.id, i.email, i.role, i.created_at as "createdAt", i.expires_at as "expiresAt",
      i.accepted_at as "acceptedAt", i.revoked_at as "revokedAt"
    from invites i where i.org_id = $1::uuid and i.created_by = $2::uuid order by i.created_at desc, i.id desc`,
  invitesAccepted: `select i.id, i.email, i.role, i.created_by as "createdBy", i.created_at as "createdAt",
      i.accepted_at as "acceptedAt"
    from invites i where i.org_id = $1::uuid and i.accepted_by = $2::uuid order by i.created_at desc, i.id desc`,
  apiKeys: `select k.id, k.name, k.prefix, k.scopes, k.requests_per_minute as "requestsPerMinute",
      k.created_at as "createdAt", k.expires_at as "expiresAt", k.last_used_at as "lastUsedAt",
      k.revoked_at as "revokedAt"
    from api_keys k where k.org_id = $1::uuid and k.created_by = $2::uuid order by k.created_at desc, k.id desc`,
  dataExports: `select e.id, e.created_at as "createdAt" from data_exports e
    where e.org_id = $1::uuid and e.user_id = $2::uuid order by e.created_at desc, e.id desc`,
};

/** Global, hence of the person in whatever organisation; without password and tokens. */
const ACCOUNT = `select a.id, a.email, a.email_verified_at as "emailVerifiedAt", a.created_at as "createdAt",
    a.updated_at as "updatedAt" from accounts a where a.id = $1::uuid`;
const IDENTITIES = `select i.issuer, i.subject, i.email, i.created_at as "createdAt", i.last_used_at as "lastUsedAt"
  from identities i where i.account_id = $1::uuid order by i.created_at, i.issuer, i.subject`;
const MAILED_TOKENS = `select t.kind, t.email, t.new_email as "newEmail", t.created_at as "createdAt",
    t.expires_at as "expiresAt", t.used_at as "usedAt", t.revoked_at as "revokedAt"
  from credential_tokens t where t.org_id = $1::uuid and t.account_id = $2::uuid order by t.created_at desc, t.id desc`;

/** The job data-export: what the serving role does not reach, since it belongs to the account. */
export const accountDataQueries = ({ system }: Pick<Database, 'system'>) => {
  const sql = sqlOf(system);
  return {
    async gather(orgId: string, userId: string): Promise<Lists> {
      const account = await gatherLists(sql, [userId], { account: ACCOUNT, identities: IDENTITIES });
      return { ...account, ...(await gatherLists(sql, [orgId, userId], { mailedTokens: MAILED_TOKENS })) };
    },
  };
};

export const personalDataIn = (sql: Sql, orgId: string) => ({
  /** Reads whole lists: for a person's own request, now and then. */
  gather: (userId: string): Promise<Lists> => gather(sql, { orgId, userId }, LISTS),
});
