/**
 * What this service keeps of the facts of user and org, because it decides on them: who is a member, who manages which
 * team, which teams have which project, what the organisation has chosen.
 *
 *   fact ─▶ projection, unless a newer version is there ─▶ has somebody's view of the tasks changed?
 *                                                           └─ yes ─▶ task.visibility-changed, in the same transaction
 *
 * Open subscriptions live on these facts: each one makes the people it names look again at what they may see. Where a
 * change looks at others (team, project, setting) they take turns (lockVisibility): two at once would each miss what the
 * other brings.
 */
import { type Envelope, type FactOf, makeFact, type TaskVisibilityImage } from '@taskflow/schema/events';
import { TASK_VISIBILITY_DEFAULT } from '../data/settings.ts';
import type { TaskTx } from '../data/store.ts';

/** More people than this are not named one by one: everybody looks again. */
const NAMED_MAX = 500;

export async function noteMember(
  tx: TaskTx,
  fact: FactOf<'member.joined' | 'member.updated'>,
): Promise<void> {
  const { id, name, role, status } = fact.after;
  const noted = await tx.members.note({ id, name, role, status, version: fact.aggregate.version });
  if (!noted?.former) return;
  if (noted.former.role !== role || noted.former.status !== status) {
    await tellVisibility(tx, fact, { userIds: [id], reason: 'MEMBER_CHANGED' });
  }
}

export async function noteTeam(tx: TaskTx, fact: FactOf<'team.created' | 'team.updated'>): Promise<void> {
  await tx.teams.note({ ...fact.after, version: fact.aggregate.version });
}

export async function noteTeamMember(
  tx: TaskTx,
  fact: FactOf<'team.member-added' | 'team.member-removed'>,
): Promise<void> {
  await tx.lockVisibility();
  const { teamId, userId, role, leftAt } = fact.after;
  const noted = await tx.teams.noteMember({ ...fact.after, version: fact.aggregate.version });
  if (!noted) return;
  const { formerRole } = noted;
  const newRole = leftAt === null ? role : null;
  if (formerRole === newRole) return;
  const concernsManager = formerRole === 'MANAGER' || newRole === 'MANAGER';
  if (!concernsManager && (await tx.settings.taskVisibility()) !== 'PROJECT') return;
  if (!(await tx.projects.hasTeam(teamId))) return;
  await tellVisibility(tx, fact, { userIds: [userId], reason: 'TEAM_CHANGED' });
}

export async function noteProject(
  tx: TaskTx,
  fact: FactOf<'project.created' | 'project.updated'>,
): Promise<void> {
  await tx.lockVisibility();
  const { teamIds } = fact.after;
  const noted = await tx.projects.note({ ...fact.after, version: fact.aggregate.version });
  if (!noted) return;
  const former = noted.formerTeamIds ?? [];
  const changed = [...former, ...teamIds].filter((id) => former.includes(id) !== teamIds.includes(id));
  if (changed.length === 0) return;
  const onlyManagers = (await tx.settings.taskVisibility()) !== 'PROJECT';
  const people = await tx.teams.peopleOf(changed, { onlyManagers });
  if (people.length === 0) return;
  await tellVisibility(tx, fact, {
    userIds: people.length > NAMED_MAX ? null : people,
    reason: noted.formerTeamIds === null ? 'PROJECT_CREATED' : 'PROJECT_CHANGED',
  });
}

export async function noteSettings(tx: TaskTx, fact: FactOf<'organization.updated'>): Promise<void> {
  await tx.lockVisibility();
  const { taskVisibility } = fact.after;
  const former = await tx.settings.taskVisibility();
  const isNewer = await tx.settings.note({ taskVisibility, version: fact.aggregate.version });
  const isShared = (setting: string) => (setting === 'PROJECT' ? 'PROJECT' : TASK_VISIBILITY_DEFAULT);
  if (!isNewer || isShared(former) === isShared(taskVisibility)) return;
  await tellVisibility(tx, fact, { userIds: null, reason: 'SETTINGS_CHANGED' });
}

/** The fact of another service that the change follows from. */
type Cause = Envelope & { aggregate: { id: string; version: number } };

async function tellVisibility(tx: TaskTx, cause: Cause, after: TaskVisibilityImage): Promise<void> {
  const { orgId, aggregate, actor, requestId, traceparent } = cause;
  await tx.appendFacts(
    makeFact({
      type: 'task.visibility-changed',
      ...{ orgId, aggregate, actor, requestId, traceparent },
      before: null,
      after,
    }),
  );
}
