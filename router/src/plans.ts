// What an organisation's plan means here: which one is in force, and how many calls its month has.

import type { PlanClaim } from '@taskflow/kit/identity';

/** What is in force outside of a contract. */
const FALLBACK = 'FREE';
const NAME = /^[A-Z][A-Z0-9_]{0,63}$/;

/** The plan that a claim or a message says; null for what is none. */
export function planOf(value: unknown): PlanClaim | null {
  if (typeof value !== 'object' || value === null) return null;
  const { name, from, until, calls, otherwise, version } = value as Record<string, unknown>;
  if (typeof name !== 'string' || !NAME.test(name) || !Number.isInteger(version)) return null;
  if (!Number.isFinite(from) || !isNumberOrNull(until)) return null;
  if (!isNumberOrNull(calls) || !isNumberOrNull(otherwise)) return null;
  return { name, from: from as number, until, calls, otherwise, version: version as number };
}

const isNumberOrNull = (value: unknown): value is number | null => value === null || Number.isFinite(value);

const isInForce = ({ from, until }: PlanClaim, now: number) => from <= now && (until === null || now < until);

export const nameInForce = (plan: PlanClaim, now: number): string =>
  isInForce(plan, now) ? plan.name : FALLBACK;

/** A calendar month in UTC. */
export interface Month {
  /** `2026-11`. */
  readonly name: string;
  readonly startsAt: number;
  readonly endsAt: number;
}

export function monthOf(now: number): Month {
  const date = new Date(now);
  const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()];
  const startsAt = Date.UTC(year, month);
  return {
    name: new Date(startsAt).toISOString().slice(0, 7),
    startsAt,
    endsAt: Date.UTC(year, month + 1),
  };
}

/**
 * How many calls the month has; null is no limit. The month in which a contract ends keeps what the contract allowed: its end
 * refuses nobody who reads. (subgraphs/org/src/domain/usage.ts tells by the same rule.)
 */
export function callsOf(plan: PlanClaim | null, month: Month, now: number): number | null {
  if (plan === null) return null;
  const { calls, otherwise, until } = plan;
  if (isInForce(plan, now)) return calls;
  const hasEndedThisMonth = until !== null && until <= now && until >= month.startsAt;
  if (!hasEndedThisMonth) return otherwise;
  return calls === null || otherwise === null ? null : Math.max(calls, otherwise);
}
