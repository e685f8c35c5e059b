import { auditOriginOf, entryOf } from '@taskflow/kit/audit';
import { type Call, type Changed, changeOnce } from '@taskflow/kit/call';
import { requireVersion } from '@taskflow/kit/changes';
import { DomainError } from '@taskflow/kit/errors';
import { isUuid } from '@taskflow/kit/filter';
import type { RoleReader, Viewer } from '@taskflow/kit/identity';
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
import type { ProjectRow, ProjectTeamRow } from '../data/projects.ts';
import type { OrgStore, OrgTx } from '../data/store.ts';
import { canCreateProjects, canSeeStructure, canUpdateProject } from './org-policy.ts';
import type { Organizations } from './organizations.ts';
import { badInput, forbidden, nameOf, notFound } from './refusals.ts';
import type { Teams } from './teams.ts';

export interface ProjectCreate {
  name: string;
  key: string;
  teamIds?: readonly string[] | null;
  clientMutationId?: string | null;
}

export interface ProjectUpdate {
  id: string;
  expectedVersion?: number | null;
  name?: string | null;
  addTeamIds?: readonly string[] | null;
  removeTeamIds?: readonly string[] | null;
  clientMutationId?: string | null;
}

/** The same form as the CHECK of the table. */
const KEY = /^[A-Z][A-Z0-9]{1,9}$/;
/** The prefix of tasks that belong to no project. */
const RESERVED_KEY = 'TASK';
/** A project of more teams is the whole organisation's. */
const TEAMS_MAX = 100;

export type Projects = ReturnType<typeof createProjects>;

export function createProjects(
  store: OrgStore,
  deps: { organizations: Organizations; teams: Teams; cursors: Cursors },
) {
  const { organizations, teams, cursors } = deps;

  /** Those of `ids` that the viewer may see, in no order. A malformed id is one that nothing has. */
  async function findMany(viewer: RoleReader, ids: readonly string[]): Promise<ProjectRow[]> {
    const wellFormed = canSeeStructure(viewer) ? ids.filter(isUuid) : [];
    return wellFormed.length === 0 ? [] : store.projects.findMany(viewer, wellFormed);
  }

  async function find(viewer: Viewer, id: string): Promise<ProjectRow | null> {
    const [row] = await findMany(viewer, [id]);
    return row ?? null;
  }

  /** The ids in lower case and once each; NOT_FOUND unless the viewer sees every team. */
  async function requireTeams(viewer: Viewer, ids: readonly string[], field: string): Promise<string[]> {
    const wanted = [...new Set(ids.map((id) => id.toLowerCase()))];
    if (wanted.length > TEAMS_MAX) throw badInput(field, `A project has at most ${TEAMS_MAX} teams.`);
    const found = await teams.findMany(viewer, wanted);
    if (found.length < wanted.length) throw notFound('A team', field);
    return wanted;
  }

  return {
    find,
    findMany,

    async list(viewer: Viewer, args: PageArgs): Promise<Connection<ProjectRow>> {
      const page = pageArgs(args);
      const binding = { orgId: viewer.orgId, scope: scopeOf('projects') };
      const position = page.cursor === null ? null : cursors.decode(page.cursor, binding);
      const isVisible = canSeeStructure(viewer);
      return connectionOf({
        rows: isVisible ? await store.projects.list(viewer, { page, position }) : [],
        page,
        cursorOf: (row) => cursors.encode({ ...binding, values: oldestFirst('p').valuesOf(row) }),
        totalCount: async () => (isVisible ? store.projects.count(viewer) : 0),
      });
    },

    assignmentsOf: (viewer: Viewer, projectIds: readonly string[]): Promise<ProjectTeamRow[]> =>
      store.projects.assignmentsOf(viewer, projectIds),

    async create(call: Call, input: ProjectCreate): Promise<Changed<ProjectRow>> {
      const { viewer } = call;
      await organizations.getOwn(viewer);
      if (!canCreateProjects(viewer)) throw forbidden('Only an ORG_ADMIN may make projects.');
      const name = nameOf(input.name);
      const key = keyOf(input.key);
      const teamIds = await requireTeams(viewer, input.teamIds ?? [], 'teamIds');
      return changeOnce(
        ...([call, input, store.transaction] as const),
        async (tx) => {
          const row = await tx.projects.insert({ id: uuidv7(), key, name });
          if (!row)
            throw new DomainError('CONFLICT', `Another project has the key ${key}.`, { field: 'key' });
          await assign(tx, viewer, row.id, teamIds);
          const syncId = await tell(tx, call, { before: null, row, teamIds });
          await tx.quota.take(PROJECTS);
          return { row, syncId };
        },
        (id) => find(viewer, id),
      );
    },

    async update(call: Call, input: ProjectUpdate): Promise<Changed<ProjectRow>> {
      const { viewer } = call;
      const seen = await find(viewer, input.id);
      if (!seen) throw notFound('The project', 'id');
      if (!canUpdateProject(viewer)) throw forbidden('Only an ORG_ADMIN may change projects.');
      const name = input.name === undefined ? undefined : nameOf(input.name);
      const added = await requireTeams(viewer, input.addTeamIds ?? [], 'addTeamIds');
      const removed = await requireTeams(viewer, input.removeTeamIds ?? [], 'removeTeamIds');
      if (added.some((id) => removed.includes(id))) {
        throw badInput('removeTeamIds', 'A team cannot be added and removed at once.');
      }
      return changeOnce(
        ...([call, input, store.transaction] as const),
        async (tx) => {
          const before = await tx.projects.lock(seen.id);
          if (!before) throw notFound('The project', 'id');
          const { expectedVersion } = input;
          const names = FIELD_NAMES;
          await requireVersion(tx.sql, {
            orgId: viewer.orgId,
            typename: 'Project',
            row: before,
            expectedVersion,
            names,
          });
          const formerTeamIds = await tx.projects.teamIds(before.id);
          const joining = added.filter((id) => !formerTeamIds.includes(id));
          const leaving = removed.filter((id) => formerTeamIds.includes(id));
          const wanted = { id: before.id, name: name ?? before.name };
          if (wanted.name === before.name && joining.length === 0 && leaving.length === 0) {
            return { row: before, syncId: null };
          }
          await assign(tx, viewer, before.id, joining);
          if (leaving.length > 0) await tx.projects.withdraw(before.id, leaving, viewer.userId);
          const row = await tx.projects.update(wanted);
          const teamIds = await tx.projects.teamIds(before.id);
          return {
            row,
            syncId: await tell(tx, call, { before: imageOf(before, formerTeamIds), row, teamIds }),
          };
        },
        (id) => find(viewer, id),
      );
    },
  };
}

const FIELD_NAMES = { teamIds: 'teams' };

const PROJECTS = { things: 'projects', advice: 'A larger plan has room for more.' };

function keyOf(text: string): string {
  const key = text.trim();
  if (!KEY.test(key)) {
    throw badInput('key', 'The key must have 2 to 10 upper-case letters and digits and begin with a letter.');
  }
  if (key === RESERVED_KEY) throw badInput('key', `${RESERVED_KEY} is reserved for tasks without a project.`);
  return key;
}

async function assign(
  tx: OrgTx,
  viewer: Viewer,
  projectId: string,
  teamIds: readonly string[],
): Promise<void> {
  if (teamIds.length === 0) return;
  await tx.projects.assign(
    projectId,
    teamIds.map((teamId) => ({ id: uuidv7(), teamId })),
    viewer.userId,
  );
}

const imageOf = ({ id, key, name }: ProjectRow, teamIds: string[]) => ({ id, key, name, teamIds });

async function tell(
  tx: OrgTx,
  call: Call,
  change: { before: ReturnType<typeof imageOf> | null; row: ProjectRow; teamIds: string[] },
): Promise<string> {
  const { viewer, requestId } = call;
  const { before, row, teamIds } = change;
  const common = { orgId: viewer.orgId, aggregate: row, actor: viewer, requestId };
  const after = imageOf(row, teamIds);
  const fact: FactOf<'project.created' | 'project.updated'> = before
    ? makeFact({ type: 'project.updated', ...common, before, after })
    : makeFact({ type: 'project.created', ...common, before: null, after });
  await tx.appendFacts(fact);
  await tx.audit(auditOriginOf(call), entryOf(fact));
  return syncIdOf(fact);
}
