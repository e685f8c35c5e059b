import { DomainError } from '@taskflow/kit/errors';
import { type Filter, isUuid } from '@taskflow/kit/filter';
import { syncIdOf } from '@taskflow/kit/outbox';
import {
  type Connection,
  type Cursors,
  connectionOf,
  type PageArgs,
  pageArgs,
  scopeOf,
} from '@taskflow/kit/page';
import { makeFact } from '@taskflow/schema/events';
import { v7 as uuidv7 } from 'uuid';
import {
  type Counts,
  type NotificationRow,
  type NotificationStore,
  type NotificationTx,
  newestFirst,
  type Owner,
} from '../data/notifications.ts';
import type { OwnFact } from '../data/outbox.ts';
import type { Notice } from './notices.ts';

export interface ListArgs extends PageArgs {
  filter?: Filter | null | undefined;
}

export interface MarkReadInput {
  ids?: readonly string[] | null | undefined;
  all?: boolean | null | undefined;
}

/** The fact of the task subgraph that notices are made from. */
export interface Cause {
  readonly id: string;
  readonly orgId: string;
  readonly taskId: string;
  readonly actor: { readonly userId: string | null };
  readonly requestId: string;
  readonly occurredAt: string;
}

/** The SDL promises it; more at once is what `all` is for. */
const MARK_IDS_MAX = 100;

export type Inbox = ReturnType<typeof createInbox>;

/** One person's notices. Every function acts for its owner and sees nobody else's. */
export function createInbox(store: NotificationStore, { cursors }: { cursors: Cursors }) {
  return {
    async list(owner: Owner, args: ListArgs): Promise<Connection<NotificationRow>> {
      const page = pageArgs(args);
      const binding = {
        orgId: owner.orgId,
        scope: scopeOf('notifications', owner.userId, args.filter ?? null),
      };
      const position = page.cursor === null ? null : cursors.decode(page.cursor, binding);
      const now = new Date(position?.pinnedAt ?? Date.now());
      const rows = await store.list(owner, { filter: args.filter, page, position, now });
      return connectionOf({
        rows,
        page,
        cursorOf: (row) =>
          cursors.encode({ ...binding, values: newestFirst.valuesOf(row), pinnedAt: now.getTime() }),
        totalCount: () => store.countList(owner, args.filter, now),
      });
    },

    counts: (owner: Owner): Promise<Counts> => store.counts(owner),

    /** Those of `ids` that lie in the inbox. A malformed id is one that is not there. */
    findMany: async (owner: Owner, ids: readonly string[]): Promise<NotificationRow[]> => {
      const wellFormed = ids.filter(isUuid);
      return wellFormed.length === 0 ? [] : store.findMany(owner, wellFormed);
    },

    /** Ids that are not in the owner's inbox are NOT_FOUND, and then nothing is marked. Safe to call twice. */
    async markRead(owner: Owner, input: MarkReadInput, requestId: string) {
      const ids = idsToMark(input);
      if (ids) await requireOwn(owner, ids);
      const at = new Date();
      const written = await store.transaction(owner, async (tx) => {
        const version = await tx.lockInbox(owner.userId);
        const { ids: marked, counts } = await tx.markRead(owner.userId, ids, at);
        if (marked.length === 0) return { marked, counts, syncId: null };
        const fact = inboxFact('notification.updated', owner, {
          ...{ version, counts, requestId, actor: owner },
          notificationId: marked.length === 1 ? (marked[0] ?? null) : null,
        });
        await tx.appendFacts(fact);
        return { marked, counts, syncId: syncIdOf(fact) };
      });
      const shown = await store.findMany(owner, (ids ?? written.marked).slice(0, MARK_IDS_MAX));
      return { notifications: newestFirstOf(shown), counts: written.counts, syncId: written.syncId };
    },

    /** Puts the notices that a fact makes into their inboxes, once each, in the transaction that claimed the fact. */
    async deliver(tx: NotificationTx, notices: readonly Notice[], cause: Cause): Promise<void> {
      // One order everywhere, so that two facts about the same people never wait for each other.
      const ordered = [...notices].sort((a, b) => (a.userId < b.userId ? -1 : 1));
      for (const notice of ordered) {
        const owner = { orgId: cause.orgId, userId: notice.userId };
        const version = await tx.lockInbox(owner.userId);
        const row = { id: uuidv7(), ...notice, ...originOf(cause) };
        const counts = await tx.insert(row);
        if (!counts) continue;
        const { actor, requestId } = cause;
        await tx.appendFacts(
          inboxFact('notification.created', owner, {
            version,
            counts,
            requestId,
            actor,
            notificationId: row.id,
          }),
        );
      }
    },
  };

  async function requireOwn(owner: Owner, ids: readonly string[]): Promise<void> {
    const own = ids.every(isUuid) ? await store.findMany(owner, ids) : [];
    if (own.length < new Set(ids.map((id) => id.toLowerCase())).size) {
      throw new DomainError('NOT_FOUND', 'A notification was not found.', { field: 'ids' });
    }
  }
}

function idsToMark({ ids, all }: MarkReadInput): readonly string[] | null {
  if (all === true && !ids) return null;
  if (all === true || !ids) throw badInput('Give either ids or all: true.');
  if (ids.length > MARK_IDS_MAX) throw badInput(`At most ${MARK_IDS_MAX} notifications are marked at once.`);
  return ids;
}

function badInput(message: string): DomainError {
  return new DomainError('BAD_USER_INPUT', message, { field: 'ids' });
}

function newestFirstOf(rows: readonly NotificationRow[]): NotificationRow[] {
  return [...rows].sort((a, b) => b.createdAt.getTime() - a.createdAt.getTime() || (a.id < b.id ? 1 : -1));
}

function originOf(cause: Cause) {
  const { taskId, actor, id, occurredAt } = cause;
  return { taskId, actorId: actor.userId, factId: id, createdAt: new Date(occurredAt) };
}

function inboxFact(
  type: OwnFact['type'],
  owner: Owner,
  change: {
    version: number;
    counts: Counts;
    notificationId: string | null;
    actor: { userId: string | null };
    requestId: string;
  },
): OwnFact {
  const { version, counts, notificationId, actor, requestId } = change;
  return makeFact({
    ...{ type, orgId: owner.orgId, aggregate: { id: owner.userId, version }, actor, requestId },
    before: null,
    after: { userId: owner.userId, notificationId, ...counts },
  });
}
