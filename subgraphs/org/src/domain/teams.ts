import { auditOriginOf, entryOf } from '@taskflow/kit/audit';
import { type Call, type Changed, changeOnce } from '@taskflow/kit/call';
import { requireVersion } from '@taskflow/kit/changes';
import { isUuid } from '@taskflow/kit/filter';
import type { Viewer } from '@taskflow/kit/identity';
import { syncIdOf } from '@taskflow/kit/outbox';
import {
  type Connection,
  type Cursors,
  connectionOf,
  type PageArgs,
  pageArgs,
  scopeOf,
} from '@taskflow/kit/page';
import { type FactOf, makeFact } from '@taskflow/schema/events';
import { v7 as uuidv7 } from 'uuid';
import { oldestFirst } from '../data/lists.ts';
import type { OrgStore, OrgTx } from '../data/store.ts';
import type { TeamRow } from '../data/teams.ts';
import { canCreateTeams, canMoveTeam, canSeeStructure, canUpdateTeam } from './org-policy.ts';
import type { Organizations } from './organizations.ts';
import { badInput, forbidden, nameOf, notFound } from './refusals.ts';

export interface TeamCreate {
  name: string;
  parentTeamId?: string | null;
  clientMutationId?: string | null;
}

export interface TeamUpdate {
  id: string;
  expectedVersion?: number | null;
  name?: string | null;
  parentTeamId?: string | null;
  clientMutationId?: string | null;
}

export type Teams = ReturnType<typeof createTeams>;

export function createTeams(
  store: OrgStore,
  { organizations, cursors }: { organizations: Organizations; cursors: Cursors },
) {
  /** Those of `ids` that the viewer may see, in no order. A malformed id is one that nothing has. */
  async function findMany(viewer: Viewer, ids: readonly string[]): Promise<TeamRow[]> {
    const wellFormed = canSeeStructure(viewer) ? ids.filter(isUuid) : [];
    return wellFormed.length === 0 ? [] : store.teams.findMany(viewer, wellFormed);
  }

  async function find(viewer: Viewer, id: string): Promise<TeamRow | null> {
    const [row] = await findMany(viewer, [id]);
    return row ?? null;
  }

  /** The teams in which each of these people has the team role MANAGER now. */
  async function managedBy(viewer: Viewer): Promise<ReadonlySet<string>> {
    const stays = await store.teamMembers.activeOfUsers(viewer, [viewer.userId]);
    return new Set(stays.filter((stay) => stay.role === 'MANAGER').map((stay) => stay.teamId));
  }

  return {
    find,
    findMany,
    managedBy,

    /** Every team, parents first; one statement. */
    tree: async (viewer: Viewer): Promise<TeamRow[]> =>
      canSeeStructure(viewer) ? store.teams.tree(viewer) : [],

    childrenOf: (viewer: Viewer, parentIds: readonly string[]): Promise<TeamRow[]> =>
      store.teams.childrenOf(viewer, parentIds),

    async list(viewer: Viewer, args: PageArgs): Promise<Connection<TeamRow>> {
      const page = pageArgs(args);
      const binding = { orgId: viewer.orgId, scope: scopeOf('teams') };
      const position = page.cursor === null ? null : cursors.decode(page.cursor, binding);
      const isVisible = canSeeStructure(viewer);
      return connectionOf({
        rows: isVisible ? await store.teams.list(viewer, { page, position }) : [],
        page,
        cursorOf: (row) => cursors.encode({ ...binding, values: oldestFirst('t').valuesOf(row) }),
        totalCount: async () => (isVisible ? store.teams.count(viewer) : 0),
      });
    },

    async create(call: Call, input: TeamCreate): Promise<Changed<TeamRow>> {
      const { viewer } = call;
      await organizations.getOwn(viewer);
      if (!canCreateTeams(viewer)) throw forbidden('Only an ORG_ADMIN may make teams.');
      const name = nameOf(input.name);
      const parentTeamId = input.parentTeamId ?? null;
      return changeOnce(
        ...([call, input, store.transaction] as const),
        async (tx) => {
          if (parentTeamId !== null) await requireTeam(tx, parentTeamId, 'parentTeamId');
          const row = await tx.teams.insert({ id: uuidv7(), name, parentTeamId });
          return { row, syncId: await tell(tx, call, null, row) };
        },
        (id) => find(viewer, id),
      );
    },

    async update(call: Call, input: TeamUpdate): Promise<Changed<TeamRow>> {
      const { viewer } = call;
      const seen = await find(viewer, input.id);
      if (!seen) throw notFound('The team', 'id');
      const managed = await managedBy(viewer);
      if (!canUpdateTeam(viewer, seen.id, managed)) throw forbidden('You may not change this team.');
      const name = input.name === undefined ? undefined : nameOf(input.name);
      const isMove = input.parentTeamId !== undefined;
      if (isMove && !canMoveTeam(viewer)) throw forbidden('Only an ORG_ADMIN may move teams.');
      return changeOnce(
        ...([call, input, store.transaction] as const),
        async (tx) => {
          if (isMove) await tx.teams.lockTree();
          const before = await tx.teams.lock(seen.id);
          if (!before) throw notFound('The team', 'id');
          const { expectedVersion } = input;
          const names = FIELD_NAMES;
          await requireVersion(tx.sql, {
            orgId: viewer.orgId,
            typename: 'Team',
            row: before,
            expectedVersion,
            names,
          });
          const parentTeamId = isMove ? (input.parentTeamId ?? null) : before.parentTeamId;
          if (parentTeamId !== null && parentTeamId !== before.parentTeamId) {
            await requireParent(tx, before.id, parentTeamId);
          }
          const wanted = { ...before, name: name ?? before.name, parentTeamId };
          if (wanted.name === before.name && wanted.parentTeamId === before.parentTeamId) {
            return { row: before, syncId: null };
          }
          const row = await tx.teams.update(wanted);
          return { row, syncId: await tell(tx, call, before, row) };
        },
        (id) => find(viewer, id),
      );
    },
  };
}

const FIELD_NAMES = { parentTeamId: 'parent' };

async function requireTeam(tx: OrgTx, id: string, field: string): Promise<void> {
  if (!isUuid(id) || !(await tx.teams.lock(id))) throw notFound('The team', field);
}

/** A team under one of its own descendants would be a circle. */
async function requireParent(tx: OrgTx, id: string, parentTeamId: string): Promise<void> {
  await requireTeam(tx, parentTeamId, 'parentTeamId');
  const below = await tx.teams.descendants(id);
  if (below.includes(parentTeamId.toLowerCase())) {
    throw badInput('parentTeamId', 'A team cannot be moved under itself or under a team below it.');
  }
}

const imageOf = ({ id, name, parentTeamId }: TeamRow) => ({ id, name, parentTeamId });

async function tell(tx: OrgTx, call: Call, before: TeamRow | null, row: TeamRow): Promise<string> {
  const { viewer, requestId } = call;
  const common = { orgId: viewer.orgId, aggregate: row, actor: viewer, requestId };
  const fact: FactOf<'team.created' | 'team.updated'> = before
    ? makeFact({ type: 'team.updated', ...common, before: imageOf(before), after: imageOf(row) })
    : makeFact({ type: 'team.created', ...common, before: null, after: imageOf(row) });
  await tx.appendFacts(fact);
  await tx.audit(auditOriginOf(call), entryOf(fact));
  return syncIdOf(fact);
}
