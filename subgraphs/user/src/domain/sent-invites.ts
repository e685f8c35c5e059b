/**
 * What an ORG_ADMIN does with invites that were made: looks through them, sends one again, cancels one.
 *
 *   OPEN ── its time ends ──▶ EXPIRED ── inviteResend ──▶ OPEN, by a new token
 *     ├─── inviteAccept ────▶ ACCEPTED
 *     └─── inviteCancel, or another invite to the address ──▶ CANCELED
 *
 * Of the invites to one address one is open at most (lockAddress).
 */
import { auditOriginOf } from '@taskflow/kit/audit';
import { type Call, changeOnce } from '@taskflow/kit/call';
import { type Filter, isUuid } from '@taskflow/kit/filter';
import type { Viewer } from '@taskflow/kit/identity';
import { type Connection, type Cursors, connectionOf, pageArgs, scopeOf } from '@taskflow/kit/page';
import { type InviteRow, newestFirst } from '../data/invites.ts';
import type { UserStore, UserTx } from '../data/store.ts';
import { holdInviter, inviteMail } from './inviting.ts';
import type { Mails } from './mails.ts';
import { isActiveAdmin } from './people-policy.ts';
import { alreadyMember, conflict, notFound } from './refusals.ts';
import { newToken } from './secret-tokens.ts';

export interface InviteList {
  filter?: Filter | null | undefined;
  first?: number | null | undefined;
  after?: string | null | undefined;
}

export interface InviteInput {
  id: string;
  clientMutationId?: string | null;
}

export interface SentInvitesDeps {
  readonly mails: Mails;
  readonly cursors: Cursors;
  readonly ttlMs: number;
}

export type SentInvites = ReturnType<typeof createSentInvites>;

export function createSentInvites(store: UserStore, { mails, cursors, ttlMs }: SentInvitesDeps) {
  const reload = (viewer: Viewer) => (id: string) => store.invites.find(viewer, id);

  return {
    /** Nothing for whoever is no ORG_ADMIN now: to them invites are invisible. */
    async list(viewer: Viewer, { filter, first, after }: InviteList): Promise<Connection<InviteRow>> {
      const page = pageArgs({ first, after });
      const binding = { orgId: viewer.orgId, scope: scopeOf('invites', filter ?? null) };
      const position = page.cursor === null ? null : cursors.decode(page.cursor, binding);
      const [member] = await store.members.findMany(viewer, [viewer.userId]);
      const isVisible = isActiveAdmin(member ?? null);
      return connectionOf({
        rows: isVisible ? await store.invites.list(viewer, filter, { page, position }) : [],
        page,
        cursorOf: (row) => cursors.encode({ ...binding, values: newestFirst.valuesOf(row) }),
        totalCount: async () => (isVisible ? store.invites.count(viewer, filter) : 0),
      });
    },

    /** The new token is answered this once; of the invite's tokens only the latest works. */
    async resend(call: Call, input: InviteInput): Promise<{ row: InviteRow; token: string | null }> {
      const { viewer } = call;
      let shownOnce: string | null = null;
      const { row } = await changeOnce(
        ...([call, input, store.transaction] as const),
        async (tx) => {
          const { inviter, before } = await lockUnsettled(tx, viewer, input.id);
          const known = await tx.members.findByEmail(before.email);
          if (known && known.status !== 'REMOVED') throw alreadyMember('id');
          await tx.invites.cancelOpen(before.email, before.id);
          const token = newToken('inv', viewer.orgId);
          const invite = (await tx.invites.renew(before.id, token.hash, ttlMs)) as InviteRow;
          shownOnce = token.text;
          await record(tx, call, { action: 'invite.resent', before, row: invite });
          await tx.appendFacts(await inviteMail(tx, call, { invite, inviter, token: token.text, mails }));
          return { row: invite, syncId: null };
        },
        reload(viewer),
      );
      return { row, token: shownOnce };
    },

    async cancel(call: Call, input: InviteInput): Promise<InviteRow> {
      const { viewer } = call;
      const { row } = await changeOnce(
        ...([call, input, store.transaction] as const),
        async (tx) => {
          const { before } = await lockUnsettled(tx, viewer, input.id);
          const canceled = (await tx.invites.cancel(before.id)) as InviteRow;
          await record(tx, call, { action: 'invite.canceled', before, row: canceled });
          return { row: canceled, syncId: null };
        },
        reload(viewer),
      );
      return row;
    },
  };
}

/** An invite that was neither accepted nor canceled, locked after its address, as inviting it again does. */
async function lockUnsettled(tx: UserTx, viewer: Viewer, id: string) {
  const inviter = await holdInviter(tx, viewer);
  // Whoever may not invite sees no invite: NOT_FOUND for them, whatever they name.
  const known = inviter && isUuid(id) ? await tx.invites.find(id) : null;
  if (!inviter || !known) throw notFound('The invite', 'id');
  await tx.invites.lockAddress(known.email);
  const before = (await tx.invites.lock(known.id)) as InviteRow;
  if (before.status === 'ACCEPTED') throw conflict('id', 'The invite was accepted already.');
  if (before.status === 'CANCELED') throw conflict('id', 'The invite was canceled.');
  return { inviter, before };
}

function record(
  tx: UserTx,
  call: Call,
  { action, before, row }: { action: string; before: InviteRow; row: InviteRow },
): Promise<void> {
  const imageOf = ({ status, expiresAt }: InviteRow) => ({ status, expiresAt });
  const target = { type: 'invite', id: row.id };
  return tx.audit(auditOriginOf(call), { action, target, before: imageOf(before), after: imageOf(row) });
}
