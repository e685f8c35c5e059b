/**
 * Plans: what an organisation has contracted, told to whoever counts.
 *
 *   founded ─▶ FREE, for ever ── the operator's command ──▶ another contract, with a window
 *                                 the window ends ────────▶ FREE is in force again: nothing is taken away, reads go on
 *
 * The fact plan.changed carries the window and both sets of limits, so that user and task know by themselves when it
 * begins and ends, to the second. The job tells again when the configuration allows something else than was told, and once
 * at the end of a window; whichever replica comes first does it, and the others find it done.
 */
import type { AuditOrigin } from '@taskflow/kit/audit';
import { DomainError } from '@taskflow/kit/errors';
import type { Viewer } from '@taskflow/kit/identity';
import { waitForOwnOrganisation } from '@taskflow/kit/projection';
import type { Allowance } from '@taskflow/kit/quota';
import { makeFact, type PlanImage } from '@taskflow/schema/events';
import type { LimitsOfPlans, PlanName, PlanRow } from '../data/plans.ts';
import type { OrgStore, OrgTx } from '../data/store.ts';

export interface Contract {
  readonly name: PlanName;
  /** Null is now. */
  readonly startsAt: Date | null;
  /** Null is for ever. */
  readonly endsAt: Date | null;
}

/** What `plan.changed` is caused by, for those who read logs. */
interface Cause {
  readonly actorId: string | null;
  readonly requestId: string;
}

/** What is in force outside of a window. */
const FALLBACK: PlanName = 'FREE';
/** Organisations that one run of the job tells of; the next run goes on. */
const TOLD_MAX = 500;

export type Plans = ReturnType<typeof createPlans>;

export function createPlans(store: OrgStore, { limitsOf }: { limitsOf: LimitsOfPlans }) {
  /** Writes a contract with the limits of now, tells of it, and keeps org's own allowance. */
  async function write(tx: OrgTx, before: PlanRow, contract: Contract, cause: Cause): Promise<PlanRow> {
    const limits = { limits: limitsOf[contract.name], otherwise: limitsOf[FALLBACK] };
    const row = await tx.plans.update({ ...contract, ...limits });
    await tell(tx, before, row, cause);
    return row;
  }

  return {
    /** The plan of the viewer's organisation; it is there as soon as the organisation is. */
    getOwn: (viewer: Viewer): Promise<PlanRow> => waitForOwnOrganisation(() => store.plans.findOwn(viewer)),

    /** What a new organisation begins with, in the transaction of its founding. Safe to call twice. */
    async begin(tx: OrgTx, cause: Cause): Promise<void> {
      const row = await tx.plans.begin(limitsOf[FALLBACK]);
      if (row) await tell(tx, null, row, cause);
    },

    /** Another contract for an organisation, by the operator. */
    async set(orgId: string, contract: Contract, origin: AuditOrigin): Promise<PlanRow> {
      const { startsAt, endsAt } = contract;
      if (endsAt && endsAt <= (startsAt ?? new Date())) {
        throw new DomainError('BAD_USER_INPUT', 'A contract must end after it starts.', { field: 'endsAt' });
      }
      return store.transaction({ orgId }, async (tx) => {
        const before = await tx.plans.lock();
        if (!before) throw new DomainError('NOT_FOUND', 'There is no such organisation.');
        const row = await write(tx, before, contract, origin);
        await tx.audit(origin, {
          action: 'organization.plan-changed',
          target: { type: 'organization', id: orgId },
          before: contractOf(before),
          after: contractOf(row),
        });
        return row;
      });
    },

    /** The job plan-telling: tells what has not been told, or not as it is now. Answers how many it told of. */
    async tellUntold(requestId: string): Promise<number> {
      const orgIds = await store.plans.listUntold(limitsOf, TOLD_MAX);
      for (const orgId of orgIds) {
        await store.transaction({ orgId, requestId }, async (tx) => {
          const plan = await tx.plans.lock();
          if (!plan || !isUntold(plan, limitsOf)) return;
          const hasEnded = hasEndedUntold(plan);
          const row = await write(tx, plan, plan, { actorId: null, requestId });
          if (!hasEnded) return;
          await tx.audit(
            { actorId: null, requestId, address: null, userAgent: null },
            {
              action: 'organization.plan-ended',
              target: { type: 'organization', id: orgId },
              before: contractOf(plan),
              after: contractOf(row),
            },
          );
        });
      }
      return orgIds.length;
    },
  };
}

const hasEndedUntold = ({ isOver, isEndTold }: PlanRow) => isOver && !isEndTold;

const isUntold = (plan: PlanRow, limitsOf: LimitsOfPlans) =>
  !isSame(plan.limits, limitsOf[plan.name]) ||
  !isSame(plan.otherwise, limitsOf[FALLBACK]) ||
  hasEndedUntold(plan);

/** Whatever the order in which PostgreSQL keeps the members. */
const isSame = (a: object | null, b: object) =>
  a !== null && JSON.stringify(Object.entries(a).sort()) === JSON.stringify(Object.entries(b).sort());

const contractOf = ({ name, startsAt, endsAt }: PlanRow) => ({
  name,
  startsAt: startsAt.toISOString(),
  endsAt: endsAt?.toISOString() ?? null,
});

/** For an operator. */
export function describePlan({ name, startsAt, endsAt, isInForce, isOver }: PlanRow): string {
  const window = `from ${startsAt.toISOString()}${endsAt ? ` until ${endsAt.toISOString()}` : ' on'}`;
  if (isInForce) return `${name}, in force ${window}`;
  return `${name} ${window}: ${isOver ? 'over' : 'to come'}, ${FALLBACK} is in force`;
}

/** A plan whose limits were never told has no image. */
function imageOf(row: PlanRow): PlanImage | null {
  const { limits, otherwise } = row;
  return limits && otherwise ? { ...contractOf(row), limits, otherwise } : null;
}

async function tell(tx: OrgTx, before: PlanRow | null, row: PlanRow, cause: Cause): Promise<void> {
  const after = imageOf(row);
  if (!after) throw new Error('a plan is told with its limits');
  await tx.quota.note(allowanceOf(after, row.version));
  await tx.appendFacts(
    makeFact({
      type: 'plan.changed',
      ...{ orgId: row.id, aggregate: row, actor: { userId: cause.actorId }, requestId: cause.requestId },
      ...{ before: before && imageOf(before), after },
    }),
  );
}

/** What a plan says of projects, which this service counts. */
const allowanceOf = (
  { name, startsAt, endsAt, limits, otherwise }: PlanImage,
  version: number,
): Allowance => ({
  ...{ plan: name, startsAt, endsAt, version },
  ...{ limit: limits.projects, otherwise: otherwise.projects },
});
