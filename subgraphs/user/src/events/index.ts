import type { FactHandlers } from '@taskflow/kit/apply';
import type { AnyFact, ConsumedBy } from '@taskflow/schema/events';
import type { UserTx } from '../data/store.ts';

/** The facts that this subgraph consumes, each with its handler: none so far. */
export const createHandlers = (): FactHandlers<UserTx, AnyFact, ConsumedBy<'user'>> => ({});
