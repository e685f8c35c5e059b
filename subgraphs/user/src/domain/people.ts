import { DomainError } from '@taskflow/kit/errors';
import { type Filter, isUuid } from '@taskflow/kit/filter';
import type { Reader, Viewer } from '@taskflow/kit/identity';
import { type Connection, type Cursors, connectionOf, pageArgs, scopeOf } from '@taskflow/kit/page';
import { type MemberRow, oldestFirst } from '../data/members.ts';
import type { UserStore } from '../data/store.ts';
import { type Authority, canListPeople, canSeeVerification } from './people-policy.ts';

export interface ListArgs {
  filter?: Filter | null | undefined;
  first?: number | null | undefined;
  after?: string | null | undefined;
}

export type People = ReturnType<typeof createPeople>;

/** The people of the viewer's organisation. */
export function createPeople(store: UserStore, { cursors }: { cursors: Cursors }) {
  /** Those of `ids` that belong or have belonged to the organisation. A malformed id is one that nobody has. */
  async function findMany(viewer: Reader, ids: readonly string[]): Promise<MemberRow[]> {
    const wellFormed = ids.filter(isUuid);
    return wellFormed.length === 0 ? [] : store.members.findMany(viewer, wellFormed);
  }

  return {
    findMany,

    /** Of these members of the organisation, those whose address is proved and of whom the viewer may know it. */
    async emailVerifications(viewer: Viewer, ids: readonly string[]): Promise<{ id: string; at: Date }[]> {
      const visible = ids.filter((id) => canSeeVerification(viewer, id));
      return visible.length === 0 ? [] : store.accounts.emailVerifiedAt(visible);
    },

    /** Who is signed in. */
    present(row: MemberRow | null): MemberRow {
      if (row) return row;
      throw new DomainError('UNAUTHENTICATED', 'Sign in to do this.');
    },

    /** What the viewer may do with others follows from it. */
    async authorityOf(viewer: Viewer): Promise<Authority> {
      const [rows, someActiveAdmins] = await Promise.all([
        findMany(viewer, [viewer.userId]),
        store.members.someActiveAdmins(viewer),
      ]);
      // A key without the scope acts as the person and is refused all the same.
      const mayAct = !viewer.scopes || viewer.scopes.includes('ADMIN');
      return { viewer: (mayAct && rows[0]) || null, someActiveAdmins };
    },

    async list(viewer: Viewer, { filter, first, after }: ListArgs): Promise<Connection<MemberRow>> {
      const page = pageArgs({ first, after });
      const onlyId = canListPeople(viewer) ? null : viewer.userId;
      const binding = { orgId: viewer.orgId, scope: scopeOf('users', onlyId, filter ?? null) };
      const position = page.cursor === null ? null : cursors.decode(page.cursor, binding);
      const scope = { filter, onlyId };
      return connectionOf({
        rows: await store.members.list(viewer, scope, { page, position }),
        page,
        cursorOf: (row) => cursors.encode({ ...binding, values: oldestFirst.valuesOf(row) }),
        totalCount: () => store.members.count(viewer, scope),
      });
    },
  };
}
