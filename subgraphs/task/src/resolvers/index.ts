import { scalars } from '@taskflow/kit/scalars';
import type { Resolvers } from '../generated/graphql.ts';
import { AuditEntry } from './AuditEntry.ts';
import { AuditLog } from './AuditLog.ts';
import { Mutation } from './Mutation.ts';
import { OrganizationUsage } from './OrganizationUsage.ts';
import { Project } from './Project.ts';
import { Query } from './Query.ts';
import { Subscription } from './Subscription.ts';
import { Task } from './Task.ts';
import { TaskChange } from './TaskChange.ts';
import { User } from './User.ts';

export const resolvers: Resolvers = {
  ...scalars,
  AuditEntry,
  AuditLog,
  Mutation,
  OrganizationUsage,
  Project,
  Query,
  Subscription,
  Task,
  TaskChange,
  User,
};
