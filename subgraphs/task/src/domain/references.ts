/**
 * What a task refers to in other services, looked up in the projections of their facts. One that is not there is waited
 * for, since it may have been made a moment ago; then absent, foreign, suspended and invisible are refused alike.
 */
import { isUuid } from '@taskflow/kit/filter';
import type { RoleReader, Viewer } from '@taskflow/kit/identity';
import { REFERENCE_DEADLINE_MS, waitFor } from '@taskflow/kit/projection';
import type { ProjectRow } from '../data/projects.ts';
import type { TaskStore } from '../data/store.ts';
import { notFound } from './refusals.ts';
import { canAssign, canSeeProjects } from './task-policy.ts';

/** Undefined where nothing was referred to, null for "none". */
export interface References {
  readonly projectId: string | null | undefined;
  readonly assigneeId: string | null | undefined;
  /** The project with that id, if there is one. */
  readonly project: ProjectRow | null;
  /** Throws NOT_FOUND for a reference to nothing, unless it is what the task refers to anyway. */
  require(present?: { projectId: string | null; assigneeId: string | null }): void;
}

export interface Referring {
  projectId?: string | null;
  assigneeId?: string | null;
}

export async function findReferences(
  store: TaskStore,
  viewer: Viewer,
  referring: Referring,
): Promise<References> {
  const projectId = referring.projectId?.toLowerCase() ?? referring.projectId;
  const assigneeId = referring.assigneeId?.toLowerCase() ?? referring.assigneeId;
  const [project, isAssignable] = await Promise.all([
    projectId == null ? null : findProject(store, viewer, projectId),
    assigneeId == null ? true : isAssignableTo(store, viewer, assigneeId),
  ]);
  return {
    projectId,
    assigneeId,
    project,
    require(present) {
      if (projectId != null && project === null && projectId !== present?.projectId) {
        throw notFound('The project', 'projectId');
      }
      if (!isAssignable && assigneeId !== present?.assigneeId) throw notFound('The person', 'assigneeId');
    },
  };
}

/** A project that the viewer may put tasks into; waits for at most 500 ms. */
export async function findProject(
  store: TaskStore,
  viewer: RoleReader,
  id: string,
): Promise<ProjectRow | null> {
  if (!isUuid(id) || !canSeeProjects(viewer)) return null;
  return waitFor(() => store.projects.find(viewer, id), REFERENCE_DEADLINE_MS);
}

/** A person whom the viewer may name, and who belongs or has belonged to the organisation; waits for at most 500 ms. */
export async function findMember(store: TaskStore, viewer: RoleReader, id: string) {
  if (!isUuid(id) || !canAssign(viewer, id)) return null;
  return waitFor(() => store.members.find(viewer, id), REFERENCE_DEADLINE_MS);
}

async function isAssignableTo(store: TaskStore, viewer: Viewer, id: string): Promise<boolean> {
  if (!isUuid(id) || !canAssign(viewer, id)) return false;
  const findActive = async () => {
    const member = await store.members.find(viewer, id);
    return member?.status === 'ACTIVE' ? member : null;
  };
  return (await waitFor(findActive, REFERENCE_DEADLINE_MS)) !== null;
}
