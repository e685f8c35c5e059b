import { scalars } from '@taskflow/kit/scalars';
import type { Resolvers } from '../generated/graphql.ts';
import { ApiKey } from './ApiKey.ts';
import { AuditEntry } from './AuditEntry.ts';
import { AuditLog } from './AuditLog.ts';
import { DataExport } from './DataExport.ts';
import { Invite } from './Invite.ts';
import { Membership } from './Membership.ts';
import { Mutation } from './Mutation.ts';
import { OrganizationUsage } from './OrganizationUsage.ts';
import { Query } from './Query.ts';
import { Session } from './Session.ts';
import { User } from './User.ts';

export const resolvers: Resolvers = {
  ...scalars,
  ApiKey,
  AuditEntry,
  AuditLog,
  DataExport,
  Invite,
  Membership,
  Mutation,
  OrganizationUsage,
  Query,
  Session,
  User,
};
