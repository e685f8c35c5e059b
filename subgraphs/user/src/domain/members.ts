/**
 * What an ORG_ADMIN does with the people of the organisation, and leaving it.
 *
 *            userSuspend              userRemove · organizationLeave
 *   ACTIVE ───────────────▶ SUSPENDED ──────────────────────────────▶ REMOVED
 *     ▲  └─────────────────────┼──────────────────────────────────────▲  │
 *     ├──── userReinstate ─────┘                                          │
 *     └──── an invite, accepted ──────────────────────────────────────────┘
 *
 * Every change raises the epoch; those that end a person's work end their sessions too. They take turns within an
 * organisation, so that one ORG_ADMIN who can sign in always remains. Who acts is judged by their stored role.
 */
import { auditOriginOf } from '@taskflow/kit/audit';
import { type Call, type Changed, changeOnce } from '@taskflow/kit/call';
import { requireVersion } from '@taskflow/kit/changes';
import { isUuid } from '@taskflow/kit/filter';
import type { Role } from '@taskflow/kit/identity';
import { syncIdOf } from '@taskflow/kit/outbox';
import type { Control } from '../data/control.ts';
import type { MemberRow } from '../data/members.ts';
import type { UserStore, UserTx } from '../data/store.ts';
import { memberUpdated } from './member-facts.ts';
import { type Authority, canFind, isActiveAdmin, isLastAdmin } from './people-policy.ts';
import { conflict, forbidden, notFound } from './refusals.ts';

interface Input {
  clientMutationId?: string | null;
}

export interface MemberInput extends Input {
  id: string;
}

export interface RoleChange extends MemberInput {
  role: Role;
  expectedVersion?: number | null;
}

type Standing = Pick<MemberRow, 'role' | 'status'>;

/** One kind of change: its line in the audit log, and what it makes of a member. */
interface Change {
  readonly action: string;
  to(before: MemberRow): Partial<Standing>;
  /** Beyond what holds for every change. */
  readonly canDo?: (authority: Authority, member: MemberRow) => void;
  readonly expectedVersion?: number | null | undefined;
}

export type Members = ReturnType<typeof createMembers>;

export function createMembers(store: UserStore, { control }: { control: Control }) {
  /** Changes a member and then tells the routers. The transaction holds; telling may be late (data/control.ts). */
  async function change(call: Call, input: Input, id: string, kind: Change): Promise<Changed<MemberRow>> {
    const { viewer } = call;
    const changed = await changeOnce(
      ...([call, input, store.transaction] as const),
      async (tx) => {
        await tx.members.takeTurn();
        const authority = await authorityIn(tx, viewer.userId);
        const before = isUuid(id) ? await tx.members.lock(id) : null;
        if (!before || !canFind(authority.viewer, before.id)) throw notFound('The person', 'id');
        kind.canDo?.(authority, before);
        await requireVersion(tx.sql, {
          ...{ orgId: viewer.orgId, typename: 'User', row: before },
          expectedVersion: kind.expectedVersion,
        });
        return apply(tx, call, { authority, before, kind });
      },
      async (rowId) => (await store.members.findMany(viewer, [rowId]))[0] ?? null,
    );
    await announce(changed.row);
    return changed;
  }

  async function announce({ orgId, id: userId, epoch, status }: MemberRow): Promise<void> {
    await (status === 'ACTIVE' ? control.raiseEpoch : control.suspendUser)({ orgId, userId, epoch });
  }

  return {
    changeRole: (call: Call, input: RoleChange) =>
      change(call, input, input.id, {
        ...{ action: 'member.role-changed', to: () => ({ role: input.role }), canDo: requireAdmin },
        expectedVersion: input.expectedVersion,
      }),

    suspend: (call: Call, input: MemberInput) =>
      change(call, input, input.id, {
        ...{ action: 'member.suspended', to: () => ({ status: 'SUSPENDED' }), canDo: requireOtherAdmin },
      }),

    reinstate: (call: Call, input: MemberInput) =>
      change(call, input, input.id, {
        ...{ action: 'member.reinstated', to: () => ({ status: 'ACTIVE' }), canDo: requireAdmin },
      }),

    remove: (call: Call, input: MemberInput) =>
      change(call, input, input.id, {
        ...{ action: 'member.removed', to: () => ({ status: 'REMOVED' }), canDo: requireAdmin },
      }),

    /** Open to everybody: nobody is kept against their will. */
    leave: (call: Call, input: Input) =>
      change(call, input, call.viewer.userId, {
        ...{ action: 'member.left', to: () => ({ status: 'REMOVED' }) },
      }),
  };
}

async function authorityIn(tx: UserTx, viewerId: string): Promise<Authority> {
  const viewer = await tx.members.hold(viewerId);
  return { viewer, someActiveAdmins: await tx.members.someActiveAdmins() };
}

/** What is as it was wanted already stays, without a fact. */
async function apply(
  tx: UserTx,
  call: Call,
  { authority, before, kind }: { authority: Authority; before: MemberRow; kind: Change },
): Promise<Changed<MemberRow>> {
  const wanted: Standing = { role: before.role, status: before.status, ...kind.to(before) };
  if (wanted.role === before.role && wanted.status === before.status) return { row: before, syncId: null };
  if (before.status === 'REMOVED') throw conflict('id', 'This person does not belong to the organisation.');
  if (!isActiveAdmin(wanted) && isLastAdmin(before, authority)) throw lastAdmin();
  const row = (await tx.members.update(before.id, wanted)) as MemberRow;
  if (row.status !== 'ACTIVE') await tx.sessions.revokeAllOf(row.id, 'MEMBER_CHANGED');
  if (row.status === 'REMOVED') await tx.apiKeys.revokeAllOf(row.id, call.viewer.userId);
  await tx.audit(auditOriginOf(call), {
    ...{ action: kind.action, target: { type: 'member', id: row.id } },
    ...{ before: standingOf(before), after: standingOf(row) },
  });
  const fact = memberUpdated(before, row, call.requestId, call.viewer);
  await tx.appendFacts(fact);
  if (row.status === 'REMOVED') await tx.quota.release();
  return { row, syncId: syncIdOf(fact) };
}

const standingOf = ({ role, status }: MemberRow): Standing => ({ role, status });

function requireAdmin({ viewer }: Authority): void {
  if (!isActiveAdmin(viewer)) throw forbidden('Only an ORG_ADMIN may do this.');
}

function requireOtherAdmin(authority: Authority, member: MemberRow): void {
  requireAdmin(authority);
  if (authority.viewer?.id === member.id) throw forbidden('Nobody can suspend themselves.');
}

const lastAdmin = () =>
  conflict('id', 'This is the last ORG_ADMIN who can sign in. Make somebody else ORG_ADMIN before.');
