/** The object that stands behind each GraphQL type; codegen reads this file. */
import type { AuditLine } from '@taskflow/kit/audit-export';
import type { NotificationRow } from './data/notifications.ts';

export type NotificationMapper = NotificationRow;
/** Known by its id alone; the owning subgraph answers the rest. */
export type UserMapper = { id: string };
export type TaskMapper = { id: string };
export type AuditLogMapper = { id: string };
export type AuditEntryMapper = AuditLine;
