/** The object that stands behind each GraphQL type; codegen reads this file. */

import type { AuditLine } from '@taskflow/kit/audit-export';
import type { MembershipRow } from './data/accounts.ts';
import type { ApiKeyRow } from './data/api-keys.ts';
import type { DataExportRow } from './data/data-exports.ts';
import type { InviteRow } from './data/invites.ts';
import type { MemberRow } from './data/members.ts';
import type { SessionRow } from './data/sessions.ts';
import type { ApiKeyIdentity } from './domain/api-keys.ts';

export type UserMapper = MemberRow;
export type ApiKeyMapper = ApiKeyRow;
export type ApiKeyIdentityMapper = ApiKeyIdentity;
export type DataExportMapper = DataExportRow;
export type InviteMapper = InviteRow;
export type MembershipMapper = MembershipRow;
export type SessionMapper = SessionRow;
/** Known by its id alone: each subgraph answers what it counts. */
export type OrganizationUsageMapper = { id: string };
export type AuditLogMapper = { id: string };
export type AuditEntryMapper = AuditLine;
