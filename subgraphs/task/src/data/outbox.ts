import { appendFacts as append } from '@taskflow/kit/outbox';
import type { Sql } from '@taskflow/kit/tenant-pool';
import type { FactOf, FactType } from '@taskflow/schema/events';

/** The facts that this subgraph publishes. */
export type OwnFact = FactOf<Extract<FactType, `task.${string}` | `task-${string}`>>;

/** Appends to the outbox; last in the transaction of the change, after the row lock. */
export const appendFacts = (sql: Sql, facts: readonly OwnFact[]): Promise<void> => append(sql, facts);
