import type { FactHandlers } from '@taskflow/kit/apply';
import type { AnyFact, ConsumedBy } from '@taskflow/schema/events';
import type { Control } from '../data/control.ts';
import type { PlanNews } from '../data/plan-news.ts';
import type { UserTx } from '../data/store.ts';
import type { DataExports } from '../domain/data-exports.ts';
import { onDataGathered } from './on-data-gathered.ts';
import { onOrganizationSuspended } from './on-organization-suspended.ts';
import { onOrganizationUpdated } from './on-organization-updated.ts';
import { onPlanChanged } from './on-plan-changed.ts';
import { onTracesErased } from './on-traces-erased.ts';

/** The facts that this subgraph consumes, each with its handler. */
export const createHandlers = (deps: {
  control: Control;
  dataExports: DataExports;
  planNews: PlanNews;
}): FactHandlers<UserTx, AnyFact, ConsumedBy<'user'>> => ({
  'organization.updated': onOrganizationUpdated,
  'organization.suspended': onOrganizationSuspended(deps.control),
  'organization.reinstated': onOrganizationSuspended(deps.control),
  'org-data.gathered': onDataGathered(deps.dataExports),
  'task-data.gathered': onDataGathered(deps.dataExports),
  'notification-data.gathered': onDataGathered(deps.dataExports),
  'plan.changed': onPlanChanged(deps.planNews),
  'org-traces.erased': onTracesErased,
  'task-traces.erased': onTracesErased,
  'notification-traces.erased': onTracesErased,
});
