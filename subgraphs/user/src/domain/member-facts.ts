import { type FactOf, makeFact } from '@taskflow/schema/events';
import type { MemberRow } from '../data/members.ts';

const imageOf = ({ id, name, email, role, status }: MemberRow) => ({ id, name, email, role, status });

/** Whoever joins does so in their own name: nobody was signed in before. */
const commonOf = (row: MemberRow, requestId: string, actor = { userId: row.id }) => ({
  orgId: row.orgId,
  aggregate: row,
  actor,
  requestId,
});

export function organizationFounded(
  founder: MemberRow,
  name: string,
  requestId: string,
): FactOf<'organization.founded'> {
  return makeFact({
    type: 'organization.founded',
    ...commonOf(founder, requestId),
    aggregate: { id: founder.orgId, version: 1 },
    before: null,
    after: { name, founderId: founder.id },
  });
}

export function memberJoined(row: MemberRow, requestId: string): FactOf<'member.joined'> {
  return makeFact({
    type: 'member.joined',
    ...commonOf(row, requestId),
    before: null,
    after: imageOf(row),
  });
}

export function memberUpdated(
  before: MemberRow,
  row: MemberRow,
  requestId: string,
  /** Who changed them; the person themselves when absent. */
  actor?: { readonly userId: string },
): FactOf<'member.updated'> {
  return makeFact({
    type: 'member.updated',
    ...commonOf(row, requestId, actor),
    before: imageOf(before),
    after: imageOf(row),
  });
}
