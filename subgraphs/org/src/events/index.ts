import type { FactHandlers } from '@taskflow/kit/apply';
import type { AnyFact, ConsumedBy } from '@taskflow/schema/events';
import type { OrgTx } from '../data/store.ts';
import type { Plans } from '../domain/plans.ts';
import { onDataExportRequested } from './on-data-export-requested.ts';
import { onMemberChanged } from './on-member-changed.ts';
import { onMemberErased } from './on-member-erased.ts';
import { onOrganizationFounded } from './on-organization-founded.ts';
import { onTaskChanged } from './on-task-changed.ts';

/** The facts that this subgraph consumes, each with its handler. */
export const createHandlers = (deps: { plans: Plans }): FactHandlers<OrgTx, AnyFact, ConsumedBy<'org'>> => ({
  'organization.founded': onOrganizationFounded(deps.plans),
  'member.joined': onMemberChanged,
  'member.updated': onMemberChanged,
  'data-export.requested': onDataExportRequested,
  'member.erased': onMemberErased,
  'task.created': onTaskChanged,
  'task.updated': onTaskChanged,
  'task.deleted': onTaskChanged,
});
