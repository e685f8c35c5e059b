/** The object that stands behind each GraphQL type; codegen reads this file. */
import type { AuditLine } from '@taskflow/kit/audit-export';
import type { TaskRow } from './data/tasks.ts';
import type { TaskChange } from './domain/task-events.ts';

export type TaskMapper = TaskRow;
export type TaskChangeMapper = TaskChange;
/** Known by their ids alone; the owning subgraphs answer the rest. */
export type OrganizationUsageMapper = { id: string };
export type UserMapper = { id: string };
export type ProjectMapper = { id: string };
export type AuditLogMapper = { id: string };
export type AuditEntryMapper = AuditLine;
