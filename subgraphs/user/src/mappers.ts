/** The object that stands behind each GraphQL type; codegen reads this file. */
import type { ApiKeyHolderRow, ApiKeyRow } from './data/api-keys.ts';
import type { InviteRow } from './data/invites.ts';
import type { MemberRow } from './data/members.ts';

export type UserMapper = MemberRow;
export type ApiKeyMapper = ApiKeyRow;
export type ApiKeyIdentityMapper = ApiKeyHolderRow;
export type InviteMapper = InviteRow;
/** Known by its id alone: each subgraph answers what it counts. */
export type OrganizationUsageMapper = { id: string };
