import type { FactOf } from '@taskflow/schema/events';
import type { Control } from '../data/control.ts';
import type { UserTx } from '../data/store.ts';

/**
 * Suspended or reinstated: what sign-in asks, and what the routers are told. They are told before the fact counts as
 * handled, so that a crash in between tells them again; the version lets a late telling do no harm.
 */
export const onOrganizationSuspended =
  (control: Control) =>
  async (tx: UserTx, fact: FactOf<'organization.suspended' | 'organization.reinstated'>): Promise<void> => {
    const { orgId, after, aggregate } = fact;
    const isSuspended = after.status === 'SUSPENDED';
    const { version } = aggregate;
    await tx.organizations.note({ name: after.name, isSuspended, version });
    await (isSuspended ? control.suspendOrganization : control.readmitOrganization)({ orgId, version });
  };
