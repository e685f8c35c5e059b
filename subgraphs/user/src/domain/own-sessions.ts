/**
 * A person's own sessions: where they are signed in, and how to end that. Nobody else's can be named, an ORG_ADMIN's
 * reach included: who must be kept out is suspended or removed.
 */
import { auditOriginOf } from '@taskflow/kit/audit';
import type { Call } from '@taskflow/kit/call';
import { isUuid } from '@taskflow/kit/filter';
import { once } from '@taskflow/kit/idempotency';
import type { Viewer } from '@taskflow/kit/identity';
import {
  type Connection,
  type Cursors,
  connectionOf,
  type PageArgs,
  pageArgs,
  scopeOf,
} from '@taskflow/kit/page';
import type { Control } from '../data/control.ts';
import { lastActiveFirst, type SessionRow, type Which } from '../data/sessions.ts';
import type { UserStore, UserTx } from '../data/store.ts';
import { notFound } from './refusals.ts';

interface Input {
  clientMutationId?: string | null;
}

/** What a mutation has ended. */
export interface Ended {
  /** Last active first, SHOWN_MAX at most. */
  readonly sessions: SessionRow[];
  readonly revokedCount: number;
  readonly syncId: null;
}

/** The SDL promises it. */
const SHOWN_MAX = 100;

export type OwnSessions = ReturnType<typeof createOwnSessions>;

export function createOwnSessions(
  store: UserStore,
  { control, cursors }: { control: Control; cursors: Cursors },
) {
  async function end(call: Call, input: Input, choose: (tx: UserTx) => Promise<Which>): Promise<Ended> {
    const { viewer, field, idempotencyKey: key } = call;
    const { clientMutationId: _, ...request } = input;
    const { ids } = await store.transaction(viewer, (tx) =>
      once(tx.sql, { viewer, key, field, request }, async () => {
        // Whoever else ends sessions of this person waits, or goes first.
        await tx.members.lock(viewer.userId);
        const ended = await tx.sessions.revokeOpen(viewer.userId, await choose(tx), 'REVOKED');
        const sessionIds = ended.map(({ id }) => id);
        if (ended.length > 0) await tx.audit(auditOriginOf(call), lineOf(sessionIds));
        return { ids: sessionIds };
      }),
    );
    await control.revokeSessions(viewer.orgId, viewer.userId, ids);
    return { sessions: await shown(viewer, ids), revokedCount: ids.length, syncId: null };
  }

  async function shown(viewer: Viewer, ids: readonly string[]): Promise<SessionRow[]> {
    const first = ids.slice(0, SHOWN_MAX);
    const rows = new Map((await store.sessions.findMany(viewer, first)).map((row) => [row.id, row]));
    return first.flatMap((id) => rows.get(id) ?? []);
  }

  return {
    async list(viewer: Viewer, args: PageArgs): Promise<Connection<SessionRow>> {
      const page = pageArgs(args);
      const binding = { orgId: viewer.orgId, scope: scopeOf('sessions', viewer.userId) };
      const position = page.cursor === null ? null : cursors.decode(page.cursor, binding);
      return connectionOf({
        rows: await store.sessions.list(viewer, { page, position }),
        page,
        cursorOf: (row) => cursors.encode({ ...binding, values: lastActiveFirst.valuesOf(row) }),
        totalCount: () => store.sessions.count(viewer),
      });
    },

    /** Somebody else's is NOT_FOUND like none; one that has ended is ended already. */
    revoke: (call: Call, input: Input & { id: string }) =>
      end(call, input, async (tx) => {
        const isOwn = isUuid(input.id) && (await tx.sessions.belongsTo(call.viewer.userId, input.id));
        if (!isOwn) throw notFound('The session', 'id');
        return { only: input.id };
      }),

    revokeOthers: (call: Call, input: Input) =>
      end(call, input, async () => ({ except: call.viewer.sessionId })),

    /** The viewer's own included: the answer is the last thing that this session reads. */
    revokeAll: (call: Call, input: Input) => end(call, input, async () => 'all'),
  };
}

const lineOf = (sessionIds: readonly string[]) => ({
  action: 'session.revoked',
  target: { type: 'session', id: sessionIds.length === 1 ? (sessionIds[0] ?? null) : null },
  after: { sessionIds },
});
