/** The object that stands behind each GraphQL type; codegen reads this file. */
import type { NotificationRow } from './data/notifications.ts';

export type NotificationMapper = NotificationRow;
/** Known by its id alone; the owning subgraph answers the rest. */
export type UserMapper = { id: string };
export type TaskMapper = { id: string };
