import type { FactHandlers } from '@taskflow/kit/apply';
import type { AnyFact, ConsumedBy } from '@taskflow/schema/events';
import type { TaskTx } from '../data/store.ts';
import { onDataExportRequested } from './on-data-export-requested.ts';
import { onMemberChanged } from './on-member-changed.ts';
import { onMemberErased } from './on-member-erased.ts';
import { onOrganizationUpdated } from './on-organization-updated.ts';
import { onPlanChanged } from './on-plan-changed.ts';
import { onProjectChanged } from './on-project-changed.ts';
import { onTeamChanged } from './on-team-changed.ts';
import { onTeamMemberChanged } from './on-team-member-changed.ts';

/** The facts that this subgraph consumes, each with its handler. */
export const createHandlers = (): FactHandlers<TaskTx, AnyFact, ConsumedBy<'task'>> => ({
  'member.joined': onMemberChanged,
  'member.updated': onMemberChanged,
  'data-export.requested': onDataExportRequested,
  'member.erased': onMemberErased,
  'organization.updated': onOrganizationUpdated,
  'plan.changed': onPlanChanged,
  'team.created': onTeamChanged,
  'team.updated': onTeamChanged,
  'team.member-added': onTeamMemberChanged,
  'team.member-removed': onTeamMemberChanged,
  'project.created': onProjectChanged,
  'project.updated': onProjectChanged,
});
