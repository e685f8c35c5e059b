import { auditOriginOf, entryOf } from '@taskflow/kit/audit';
import { type Call, type Changed, changeOnce } from '@taskflow/kit/call';
import { isUuid } from '@taskflow/kit/filter';
import type { Viewer } from '@taskflow/kit/identity';
import { syncIdOf } from '@taskflow/kit/outbox';
import { type Connection, type Cursors, connectionOf, pageArgs, scopeOf } from '@taskflow/kit/page';
import { REFERENCE_DEADLINE_MS, waitFor } from '@taskflow/kit/projection';
import { type Envelope, makeFact } from '@taskflow/schema/events';
import { v7 as uuidv7 } from 'uuid';
import type { OrgStore, OrgTx } from '../data/store.ts';
import type { TeamMemberRow, TeamRole } from '../data/team-members.ts';
import { canManageMembers, canSeeStructure } from './org-policy.ts';
import { forbidden, notFound } from './refusals.ts';
import type { Teams } from './teams.ts';

export interface TeamMemberAdd {
  teamId: string;
  userId: string;
  role?: TeamRole;
  clientMutationId?: string | null;
}

export interface TeamMemberRemove {
  teamId: string;
  userId: string;
  clientMutationId?: string | null;
}

export interface EntriesArgs {
  first?: number | null;
  after?: string | null;
  includeFormer?: boolean | null;
}

export type TeamMembers = ReturnType<typeof createTeamMembers>;

export function createTeamMembers(store: OrgStore, { teams, cursors }: { teams: Teams; cursors: Cursors }) {
  /** The team, when the viewer sees it and may choose its people. */
  async function requireManageable(viewer: Viewer, teamId: string): Promise<string> {
    const team = await teams.find(viewer, teamId);
    if (!team) throw notFound('The team', 'teamId');
    const managed = await teams.managedBy(viewer);
    if (!canManageMembers(viewer, team.id, managed))
      throw forbidden('You may not choose the people of this team.');
    return team.id;
  }

  return {
    /** The pages of many teams with the same arguments, in the order of `teamIds`; one statement. */
    async listForTeams(
      viewer: Viewer,
      teamIds: readonly string[],
      args: EntriesArgs,
    ): Promise<Connection<TeamMemberRow>[]> {
      const page = pageArgs(args);
      const includeFormer = args.includeFormer === true;
      // Not bound to one team: the position is a time and an id, which begins a page in any of them.
      const binding = { orgId: viewer.orgId, scope: scopeOf('teamMembers', includeFormer) };
      const position = page.cursor === null ? null : cursors.decode(page.cursor, binding).values;
      const rows = await store.teamMembers.listForTeams(viewer, teamIds, {
        ...{ includeFormer, limit: page.size + 1 },
        after: position && { joinedAt: String(position[0]), id: String(position[1]) },
      });
      const rowsOf = Map.groupBy(rows, (row) => row.teamId);
      return teamIds.map((teamId) =>
        connectionOf({
          rows: rowsOf.get(teamId) ?? [],
          page,
          cursorOf: (row) => cursors.encode({ ...binding, values: [row.joinedAt.toISOString(), row.id] }),
          totalCount: () => store.teamMembers.count(viewer, teamId, includeFormer),
        }),
      );
    },

    activeCounts: (viewer: Viewer, teamIds: readonly string[]) =>
      store.teamMembers.activeCounts(viewer, teamIds),

    /** The present stays of these people, in the order of joining. */
    activeOfUsers: async (viewer: Viewer, userIds: readonly string[]): Promise<TeamMemberRow[]> => {
      const wellFormed = canSeeStructure(viewer) ? userIds.filter(isUuid) : [];
      return wellFormed.length === 0 ? [] : store.teamMembers.activeOfUsers(viewer, wellFormed);
    },

    /** Also changes the role of somebody who is in the team. The person may have joined a moment before. */
    async add(call: Call, input: TeamMemberAdd): Promise<Changed<TeamMemberRow>> {
      const { viewer } = call;
      const teamId = await requireManageable(viewer, input.teamId);
      const { userId, role = 'MEMBER' } = input;
      const member = isUuid(userId)
        ? await waitFor(() => store.members.findActive(viewer, userId), REFERENCE_DEADLINE_MS)
        : null;
      if (!member) throw notFound('The person', 'userId');
      return changeOnce(
        ...([call, input, store.transaction] as const),
        async (tx) => {
          // The person may have been removed since; whoever notes that waits for us, and then ends this stay too.
          if (!(await tx.members.holdActive(member.id))) throw notFound('The person', 'userId');
          await tx.teams.lock(teamId);
          const before = await tx.teamMembers.findActive(teamId, member.id);
          if (before?.role === role) return { row: before, syncId: null };
          const row = before
            ? await tx.teamMembers.update(before.id, { role, hasLeft: false })
            : await tx.teamMembers.insert({
                id: uuidv7(),
                teamId,
                userId: member.id,
                role,
                addedBy: viewer.userId,
              });
          return { row, syncId: await tellAdded(tx, call, before, row) };
        },
        (id) => reload(viewer, id),
      );
    },

    async remove(call: Call, input: TeamMemberRemove): Promise<Changed<TeamMemberRow>> {
      const { viewer } = call;
      const teamId = await requireManageable(viewer, input.teamId);
      return changeOnce(
        ...([call, input, store.transaction] as const),
        async (tx) => {
          await tx.teams.lock(teamId);
          const before = isUuid(input.userId) ? await tx.teamMembers.findActive(teamId, input.userId) : null;
          if (!before) throw notFound('The person', 'userId');
          const row = await tx.teamMembers.update(before.id, { role: before.role, hasLeft: true });
          return { row, syncId: await tellRemoved(tx, call, before, row) };
        },
        (id) => reload(viewer, id),
      );
    },
  };

  async function reload(viewer: Viewer, id: string): Promise<TeamMemberRow | null> {
    const [row] = await store.teamMembers.findMany(viewer, [id]);
    return row ?? null;
  }
}

/**
 * Ends every stay of somebody who was removed from the organisation, as the cause's actor. The stays remain as history.
 * Hold the member before, so that nobody adds them meanwhile. Safe to call twice.
 */
export async function leaveAllTeams(tx: OrgTx, userId: string, cause: Envelope): Promise<void> {
  const { orgId, actor, requestId, traceparent } = cause;
  for (const teamId of await tx.teamMembers.teamIdsOf(userId)) {
    await tx.teams.lock(teamId);
    const before = await tx.teamMembers.findActive(teamId, userId);
    if (!before) continue;
    const row = await tx.teamMembers.update(before.id, { role: before.role, hasLeft: true });
    const images = { before: imageOf(before), after: imageOf(row) };
    const common = { orgId, aggregate: row, actor, requestId, traceparent };
    const fact = makeFact({ type: 'team.member-removed', ...common, ...images });
    await tx.appendFacts(fact);
    const origin = { actorId: actor.userId, requestId, address: null, userAgent: null };
    await tx.audit(origin, entryOf(fact));
  }
}

function imageOf({ id, teamId, userId, role, leftAt }: TeamMemberRow) {
  return { id, teamId, userId, role, leftAt: leftAt?.toISOString() ?? null };
}

const commonOf = ({ viewer, requestId }: Call, row: TeamMemberRow) => ({
  ...{ orgId: viewer.orgId, aggregate: row, actor: viewer, requestId },
});

async function tellAdded(tx: OrgTx, call: Call, before: TeamMemberRow | null, row: TeamMemberRow) {
  const images = { before: before && imageOf(before), after: imageOf(row) };
  const fact = makeFact({ type: 'team.member-added', ...commonOf(call, row), ...images });
  await tx.appendFacts(fact);
  await tx.audit(auditOriginOf(call), entryOf(fact));
  return syncIdOf(fact);
}

async function tellRemoved(tx: OrgTx, call: Call, before: TeamMemberRow, row: TeamMemberRow) {
  const images = { before: imageOf(before), after: imageOf(row) };
  const fact = makeFact({ type: 'team.member-removed', ...commonOf(call, row), ...images });
  await tx.appendFacts(fact);
  await tx.audit(auditOriginOf(call), entryOf(fact));
  return syncIdOf(fact);
}
