/**
 * One fact, one transaction: what a consumer does with each entry of its work streams.
 *
 *   known type? ── no ──▶ ignored (another service's business)
 *     └─ aggregate parked? ── yes ──▶ put behind the dead letter that parked it
 *          └─ inbox claim ── handled before ──▶ nothing
 *                         └─ first time ──────▶ the handler, in the same transaction
 */
import { claimFact, deadLetter, isParked } from './inbox.ts';
import type { Log } from './log.ts';
import type { Fact } from './outbox.ts';
import type { Sql, Tenant } from './tenant-pool.ts';

interface Typed {
  readonly type: string;
}

/** A handler for each type that is consumed; `tx` is what the service's store can do within one transaction. */
export type FactHandlers<Tx, F extends Typed, T extends string = F['type']> = {
  [K in T]: (tx: Tx, fact: Extract<F, { type: K }>) => Promise<void>;
};

export interface ApplyOptions<Tx extends { sql: Sql }, F extends Typed> {
  readonly handlers: Partial<FactHandlers<Tx, F>>;
  /** Checks a fact against its model; throws for one that is malformed, which then becomes a dead letter. */
  parse(fact: Fact): F;
  transaction<T>(tenant: Tenant, work: (tx: Tx) => Promise<T>): Promise<T>;
  readonly log: Log;
}

export interface Apply {
  /** For createConsumer. Safe to call twice for one fact. */
  apply(fact: Fact): Promise<void>;
  onExhausted(fact: Fact | null, error: unknown, attempts: number): Promise<void>;
  /** The handler without the parked check, for replaying dead letters. */
  reapply(fact: Fact): Promise<void>;
}

export function createApply<Tx extends { sql: Sql }, F extends Typed>(options: ApplyOptions<Tx, F>): Apply {
  const { handlers, parse, transaction, log } = options;
  const tenantOf = (fact: Fact): Tenant => ({ orgId: fact.orgId, requestId: fact.requestId });

  async function run(fact: Fact, { checkParked }: { checkParked: boolean }): Promise<void> {
    if (!Object.hasOwn(handlers, fact.type)) return;
    const parsed = parse(fact);
    const handler = handlers[parsed.type as F['type']] as (tx: Tx, fact: F) => Promise<void>;
    await transaction(tenantOf(fact), async (tx) => {
      if (checkParked && (await isParked(tx.sql, fact))) {
        await deadLetter(tx.sql, fact, {
          reason: 'waits behind an earlier fact of the same thing',
          attempts: 0,
        });
        return;
      }
      if (await claimFact(tx.sql, fact)) await handler(tx, parsed);
    });
  }

  return {
    apply: (fact) => run(fact, { checkParked: true }),
    reapply: (fact) => run(fact, { checkParked: false }),
    async onExhausted(fact, error, attempts) {
      log.error({ err: error, factId: fact?.id, type: fact?.type, attempts }, 'a fact was put aside');
      if (!fact) return; // not a fact at all: there is no tenant to keep it for, the log line has it
      const reason = error instanceof Error ? error.message : String(error);
      await transaction(tenantOf(fact), (tx) => deadLetter(tx.sql, fact, { reason, attempts }));
    },
  };
}
