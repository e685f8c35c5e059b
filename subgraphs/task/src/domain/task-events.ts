/**
 * The live stream of tasks, as one viewer sees it.
 *
 *   fact of a task ─▶ was it watched before? is it after? ─▶ CREATED · UPDATED · DELETED · nothing
 *                       watched = not deleted, visible (canSee), passes the filter: from the images of the fact alone
 *   task.visibility-changed that concerns the viewer ─▶ sight loaded anew ─▶ ResyncRequired
 *
 * The sight is loaded at the first fact, not when the subscription starts: by then its position is settled, so that a
 * change of visibility which the load has not seen yet is still to come as a fact. After that no fact costs a statement.
 */
import { changedFields } from '@taskflow/kit/changes';
import { DomainError } from '@taskflow/kit/errors';
import type { EventStream, SignOfLife } from '@taskflow/kit/event-stream';
import type { Role, RoleReader } from '@taskflow/kit/identity';
import type { NumberedFact } from '@taskflow/kit/outbox';
import type { TaskImage, TaskVisibilityImage } from '@taskflow/schema/events';
import type { TaskStore } from '../data/store.ts';
import type { TaskRow } from '../data/tasks.ts';
import { findMember, findProject } from './references.ts';
import { notFound } from './refusals.ts';
import { FIELD_NAMES } from './task-facts.ts';
import {
  canSee,
  looksAtSettings,
  looksAtTeams,
  type PolicySubject,
  personOf,
  type Sight,
} from './task-policy.ts';
import type { Tasks } from './tasks.ts';

export interface TaskEventFilter {
  projectId?: string | null;
  taskId?: string | null;
  assigneeId?: string | null;
}

export interface TaskChange {
  __typename: 'TaskChange';
  cursor: string;
  kind: 'CREATED' | 'UPDATED' | 'DELETED';
  taskId: string;
  version: number;
  changedFields: string[];
  actorId: string | null;
  occurredAt: string;
  /** Whether the task as it is by now still belongs to what the subscription watches. */
  watches(row: TaskRow): boolean;
}

export interface From {
  after: string | null | undefined;
  resumeAfter: number | null;
}

/** task.assigned and task.status-changed repeat one of these. */
const CHANGES: ReadonlySet<string> = new Set(['task.created', 'task.updated', 'task.deleted']);

export type TaskEvents = ReturnType<typeof createTaskEvents>;

export function createTaskEvents(stream: EventStream, deps: { store: TaskStore; tasks: Tasks }) {
  const { store, tasks } = deps;

  return {
    /** Throws NOT_FOUND for a project, task or person that the viewer cannot see, BAD_USER_INPUT for a bad `after`. */
    async subscribe(viewer: RoleReader, filter: TaskEventFilter, from: From) {
      // A subscription that the router takes up again has been let in before; its task may be gone by now.
      if (from.resumeAfter === null) await requireVisible(viewer, filter, { isResuming: from.after != null });
      const watch = watching(filter);
      let sight: Sight | null = null;

      return stream.subscribe(viewer, {
        field: 'taskEvents',
        ...from,
        async toEvent(item, cursor): Promise<TaskChange | SignOfLife | null> {
          sight ??= await tasks.sightOf(viewer);
          if (CHANGES.has(item.fact.type)) {
            return changeFor(item, cursor, (task) => sight !== null && canSee(sight, task) && watch(task));
          }
          if (item.fact.type !== 'task.visibility-changed') return null;
          const change = item.fact.after as TaskVisibilityImage;
          if (!concerns(change, sight.viewer)) return null;
          sight = await tasks.sightOf(await viewerNow(sight.viewer, change));
          if (change.reason === 'PROJECT_CREATED') return null;
          return { __typename: 'ResyncRequired', cursor, reason: 'VISIBILITY_CHANGED' };
        },
      });
    },
  };

  async function requireVisible(
    viewer: RoleReader,
    { projectId, taskId, assigneeId }: TaskEventFilter,
    { isResuming }: { isResuming: boolean },
  ): Promise<void> {
    if (projectId != null && !(await findProject(store, viewer, projectId))) {
      throw notFound('The project', 'filter.projectId');
    }
    if (assigneeId != null && !(await findMember(store, viewer, assigneeId))) {
      throw notFound('The person', 'filter.assigneeId');
    }
    // Who resumes still has to hear that the task was deleted.
    if (taskId != null) {
      const found = await tasks.findMany(viewer, [taskId], { includeDeleted: isResuming });
      if (found.length === 0) throw notFound('The task', 'filter.taskId');
    }
  }

  /** With the role of now; the token's is that of the start. */
  async function viewerNow(viewer: Sight['viewer'], change: TaskVisibilityImage): Promise<Sight['viewer']> {
    if (change.reason !== 'MEMBER_CHANGED') return viewer;
    const member = await store.members.find(viewer, personOf(viewer));
    if (member && member.status !== 'ACTIVE') {
      throw new DomainError('SESSION_REVOKED', 'You are no longer a member of this organisation.');
    }
    return member ? { ...viewer, userId: personOf(viewer), role: member.role as Role } : viewer;
  }
}

/** Whether what the viewer sees depends on what has changed. */
function concerns({ userIds, reason }: TaskVisibilityImage, { userId, role }: Sight['viewer']): boolean {
  // A group is nobody: of those who leave it, the router knows.
  const isNamed = userId !== undefined && (userIds?.includes(userId) ?? false);
  if (reason === 'MEMBER_CHANGED') return isNamed;
  if (reason === 'SETTINGS_CHANGED') return looksAtSettings(role);
  return looksAtTeams(role) && (userIds === null || isNamed);
}

type Watched = PolicySubject & { readonly id: string; readonly deletedAt: Date | string | null };

function watching(filter: TaskEventFilter): (task: Watched) => boolean {
  const { projectId, taskId, assigneeId } = filter;
  const fits = (wanted: string | null | undefined, value: string | null) =>
    wanted == null || wanted.toLowerCase() === value;
  return (task) =>
    task.deletedAt === null &&
    fits(projectId, task.projectId) &&
    fits(taskId, task.id) &&
    fits(assigneeId, task.assigneeId);
}

function changeFor(
  { fact }: NumberedFact,
  cursor: string,
  watches: (task: Watched) => boolean,
): TaskChange | null {
  const before = fact.before as TaskImage | null;
  const after = fact.after as TaskImage;
  const was = before !== null && watches(before);
  const is = watches(after);
  if (!was && !is) return null;
  return {
    __typename: 'TaskChange',
    cursor,
    kind: !was ? 'CREATED' : is ? 'UPDATED' : 'DELETED',
    taskId: fact.aggregate.id,
    version: fact.aggregate.version,
    changedFields: changedFields(before, after, FIELD_NAMES),
    actorId: fact.actor.userId,
    occurredAt: fact.occurredAt,
    watches,
  };
}
