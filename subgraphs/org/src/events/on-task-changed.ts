import type { FactOf } from '@taskflow/schema/events';
import type { OrgTx } from '../data/store.ts';

/** Progress follows the tasks: what counts is the newest version, whatever the order of arrival. */
export async function onTaskChanged(
  tx: OrgTx,
  fact: FactOf<'task.created' | 'task.updated' | 'task.deleted'>,
): Promise<void> {
  const { projectId, status, deletedAt } = fact.after;
  await tx.projects.noteTask({
    taskId: fact.aggregate.id,
    version: fact.aggregate.version,
    projectId,
    isDone: status === 'DONE',
    isDeleted: deletedAt !== null,
  });
}
