import { scalars } from '@taskflow/kit/scalars';
import type { Resolvers } from '../generated/graphql.ts';
import { AuditEntry } from './AuditEntry.ts';
import { AuditLog } from './AuditLog.ts';
import { Mutation } from './Mutation.ts';
import { Notification } from './Notification.ts';
import { Query } from './Query.ts';
import { Subscription } from './Subscription.ts';
import { User } from './User.ts';

export const resolvers: Resolvers = {
  ...scalars,
  AuditEntry,
  AuditLog,
  Mutation,
  Notification,
  Query,
  Subscription,
  User,
};
