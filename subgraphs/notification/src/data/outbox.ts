import { appendFacts as append } from '@taskflow/kit/outbox';
import type { Sql } from '@taskflow/kit/tenant-pool';
import type { FactOf } from '@taskflow/schema/events';

/** The facts that this subgraph publishes. */
export type OwnFact = FactOf<
  | 'notification.created'
  | 'notification.updated'
  | 'notification-data.gathered'
  | 'notification-traces.erased'
>;

/** Appends to the outbox; last in the transaction of the change, after the row lock. */
export const appendFacts = (sql: Sql, facts: readonly OwnFact[]): Promise<void> => append(sql, facts);
