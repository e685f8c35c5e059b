import { auditOriginOf } from '@taskflow/kit/audit';
import { type Call, type Changed, changeOnce } from '@taskflow/kit/call';
import { requireVersion } from '@taskflow/kit/changes';
import { syncIdOf } from '@taskflow/kit/outbox';
import type { MemberRow } from '../data/members.ts';
import type { UserStore } from '../data/store.ts';
import { nameOf } from './input-rules.ts';
import { memberUpdated } from './member-facts.ts';
import { badInput, notFound } from './refusals.ts';

export interface UserUpdate {
  expectedVersion?: number | null;
  name?: string | null;
  clientMutationId?: string | null;
}

export type Profiles = ReturnType<typeof createProfiles>;

/** What people say of themselves, within one organisation: a name may differ from one to the other. */
export function createProfiles(store: UserStore) {
  return {
    async update(call: Call, input: UserUpdate): Promise<Changed<MemberRow>> {
      const { viewer } = call;
      if (input.name === null) throw badInput('name', 'The name cannot be cleared.');
      const name = input.name === undefined ? undefined : nameOf(input.name, 'name');
      return changeOnce(
        ...([call, input, store.transaction] as const),
        async (tx) => {
          const before = await tx.members.lock(viewer.userId);
          if (before?.status !== 'ACTIVE') throw notFound('The person', 'id');
          await requireVersion(tx.sql, {
            ...{ orgId: viewer.orgId, typename: 'User', row: before },
            expectedVersion: input.expectedVersion,
          });
          if (name === undefined || name === before.name) return { row: before, syncId: null };
          const row = (await tx.members.rename(before.id, name)) as MemberRow;
          await tx.audit(auditOriginOf(call), {
            ...{ action: 'member.updated', target: { type: 'member', id: row.id } },
            ...{ before: { name: before.name }, after: { name: row.name } },
          });
          const fact = memberUpdated(before, row, call.requestId);
          await tx.appendFacts(fact);
          return { row, syncId: syncIdOf(fact) };
        },
        async (id) => (await store.members.findMany(viewer, [id]))[0] ?? null,
      );
    },
  };
}
