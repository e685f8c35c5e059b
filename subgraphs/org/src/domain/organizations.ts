import { auditOriginOf, entryOf } from '@taskflow/kit/audit';
import { type Call, type Changed, changeOnce } from '@taskflow/kit/call';
import { requireVersion } from '@taskflow/kit/changes';
import type { Viewer } from '@taskflow/kit/identity';
import { syncIdOf } from '@taskflow/kit/outbox';
import { waitForOwnOrganisation } from '@taskflow/kit/projection';
import { makeFact } from '@taskflow/schema/events';
import type { OrganizationRow, TaskVisibility } from '../data/organizations.ts';
import type { OrgStore } from '../data/store.ts';
import { canUpdateOrganization } from './org-policy.ts';
import { forbidden, nameOf } from './refusals.ts';

export interface OrganizationUpdate {
  expectedVersion?: number | null;
  name?: string | null;
  settings?: { taskVisibility?: TaskVisibility | null } | null;
  clientMutationId?: string | null;
}

export type Organizations = ReturnType<typeof createOrganizations>;

export function createOrganizations(store: OrgStore) {
  /** The viewer's organisation; its founding may still be under way, right after register. */
  const getOwn = (viewer: Viewer): Promise<OrganizationRow> =>
    waitForOwnOrganisation(() => store.organizations.findOwn(viewer));

  return {
    getOwn,

    async update(call: Call, input: OrganizationUpdate): Promise<Changed<OrganizationRow>> {
      const { viewer, requestId } = call;
      await getOwn(viewer);
      if (!canUpdateOrganization(viewer)) throw forbidden('Only an ORG_ADMIN may change the organisation.');
      const transact = store.transaction;
      return changeOnce(
        call,
        input,
        transact,
        async (tx) => {
          const before = (await tx.organizations.lock()) as OrganizationRow;
          const { expectedVersion } = input;
          await requireVersion(tx.sql, {
            ...{ orgId: viewer.orgId, typename: 'Organization', row: before, expectedVersion },
            // Its plan has the same id and versions of its own.
            ...{ names: FIELD_NAMES, aggregate: 'organization' },
          });
          const wanted = wantedOf(before, input);
          if (isSame(before, wanted)) return { row: before, syncId: null };
          const row = await tx.organizations.update(wanted);
          const fact = makeFact({
            ...{
              type: 'organization.updated',
              orgId: viewer.orgId,
              aggregate: row,
              actor: viewer,
              requestId,
            },
            ...{ before: imageOf(before), after: imageOf(row) },
          });
          await tx.appendFacts(fact);
          await tx.audit(auditOriginOf(call), entryOf(fact));
          return { row, syncId: syncIdOf(fact) };
        },
        () => getOwn(viewer),
      );
    },
  };
}

const FIELD_NAMES = { taskVisibility: 'settings', status: null };

type Wanted = Pick<OrganizationRow, 'name' | 'taskVisibility'>;

function wantedOf(before: OrganizationRow, { name, settings }: OrganizationUpdate): Wanted {
  const visibility = settings?.taskVisibility;
  return {
    name: name === undefined ? before.name : nameOf(name),
    taskVisibility: visibility === undefined ? before.taskVisibility : (visibility ?? 'ASSIGNED'),
  };
}

const isSame = (a: Wanted, b: Wanted) => a.name === b.name && a.taskVisibility === b.taskVisibility;
export const imageOf = ({ name, taskVisibility, status }: OrganizationRow) => ({
  name,
  taskVisibility,
  status,
});

/** Latin letters and digits of the name, and enough of the id to tell namesakes apart: `acme-3f9a1c`. */
export function slugOf(name: string, orgId: string): string {
  const plain = name
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 60);
  // The end of a UUIDv7 is random, its beginning is the time.
  return [plain, orgId.slice(-6)].filter((part) => part !== '').join('-');
}
