import type { AuditLog } from '@taskflow/kit/audit-log';
import type { BuildContext, RequestContext } from '@taskflow/kit/service';
import type { Accounts } from './domain/accounts.ts';
import type { ApiKeys } from './domain/api-keys.ts';
import type { DataExports } from './domain/data-exports.ts';
import type { EmailAddresses } from './domain/email-addresses.ts';
import type { Erasures } from './domain/erasures.ts';
import type { Invites } from './domain/invites.ts';
import type { Members } from './domain/members.ts';
import type { Memberships } from './domain/memberships.ts';
import type { OwnSessions } from './domain/own-sessions.ts';
import type { PasswordChanges } from './domain/password-changes.ts';
import type { People } from './domain/people.ts';
import type { Profiles } from './domain/profiles.ts';
import type { ProviderSignIn } from './domain/provider-sign-in.ts';
import type { SentInvites } from './domain/sent-invites.ts';
import type { Client, Sessions } from './domain/sessions.ts';
import type { Usage } from './domain/usage.ts';
import { createLoaders, type Loaders } from './loaders.ts';

/** What a resolver sees: who asks, the use cases, and loaders that live for one request. */
export interface Context extends RequestContext {
  loaders: Loaders;
  auditLog: AuditLog;
  accounts: Accounts;
  addresses: EmailAddresses;
  apiKeys: ApiKeys;
  dataExports: DataExports;
  erasures: Erasures;
  invites: Invites;
  members: Members;
  memberships: Memberships;
  ownSessions: OwnSessions;
  passwordChanges: PasswordChanges;
  people: People;
  profiles: Profiles;
  providerSignIn: ProviderSignIn;
  sentInvites: SentInvites;
  sessions: Sessions;
  usage: Usage;
  /** From where the request came, as the router saw it. */
  client: Client;
}

export interface ContextDeps {
  auditLog: AuditLog;
  accounts: Accounts;
  addresses: EmailAddresses;
  apiKeys: ApiKeys;
  dataExports: DataExports;
  erasures: Erasures;
  invites: Invites;
  members: Members;
  memberships: Memberships;
  ownSessions: OwnSessions;
  passwordChanges: PasswordChanges;
  people: People;
  profiles: Profiles;
  providerSignIn: ProviderSignIn;
  sentInvites: SentInvites;
  sessions: Sessions;
  usage: Usage;
}

export const createContextFactory =
  (deps: ContextDeps): BuildContext =>
  ({ viewer, requestId, clientAddress, userAgent }, { reader }) => ({
    ...deps,
    loaders: createLoaders(deps, viewer, reader),
    client: { requestId, address: clientAddress ?? null, userAgent: userAgent ?? null } satisfies Client,
  });
