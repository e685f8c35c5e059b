/**
 * A subscription's events from the feed of its source: positions become cursors, facts become what the subscriber sees.
 *
 *   after (cursor or syncId) ─▶ position ─▶ feed.subscribe ─▶ fact ─▶ toEvent ─▶ event | null (none of their business)
 *                                                            heartbeat ─▶ StreamHeartbeat { cursor }
 *                                                            resync ────▶ ResyncRequired { cursor, reason }
 *
 * Each event comes as `{ [field]: event, position, cursor }`: the field's value, and the place that the harness tells the
 * router. `return()` ends at once, also while a fact is being looked at: a client that left waits for nothing.
 */
import { DomainError } from './errors.ts';
import type { Feed, FeedItem } from './feed.ts';
import { isUuid } from './filter.ts';
import type { NumberedFact } from './outbox.ts';
import type { Cursors } from './page.ts';
import { waitFor } from './projection.ts';
import type { Tenant } from './tenant-pool.ts';

/** What every stream delivers besides its own events. */
export type SignOfLife =
  | { readonly __typename: 'StreamHeartbeat'; readonly cursor: string }
  | { readonly __typename: 'ResyncRequired'; readonly cursor: string; readonly reason: ResyncReason };

export type ResyncReason = 'CURSOR_EXPIRED' | 'VISIBILITY_CHANGED';

/** One source event of the subscription field `K`; `position` is the tenant's number of the fact it tells of. */
export type SourceEvent<K extends string, E> = { readonly [field in K]: E | SignOfLife } & {
  readonly position: number;
  readonly cursor: string;
};

export interface EventStreamOptions {
  readonly source: string;
  readonly feed: Feed;
  readonly cursors: Cursors;
  /** Where a fact stands in the log; null while it is not numbered yet. */
  positionOf(tenant: Tenant, factId: string): Promise<number | null>;
}

export interface Subscription<K extends string, E> {
  /** The root field: `taskEvents`. */
  readonly field: K;
  /** The client's argument: a cursor of this stream, or the syncId of a write to this source. */
  readonly after: string | null | undefined;
  /** The router's position after a lost connection; wins over `after`. */
  readonly resumeAfter: number | null;
  /** What a fact means to this subscriber; null when nothing. `cursor` is the event's. */
  toEvent(item: NumberedFact, cursor: string): Promise<E | null>;
}

/** The relay numbers a fact within some 30 ms of its commit; a client may well be back with its syncId before. */
const SYNC_ID_DEADLINE_MS = 2_000;

export type EventStream = ReturnType<typeof createEventStream>;

export function createEventStream({ source, feed, cursors, positionOf }: EventStreamOptions) {
  const bindingOf = (tenant: Tenant) => ({ orgId: tenant.orgId, scope: `events ${source}` });

  async function positionAfter(tenant: Tenant, after: string): Promise<number> {
    const factId = after.startsWith(`${source}.`) ? after.slice(source.length + 1) : null;
    if (factId !== null && isUuid(factId)) {
      const position = await waitFor(() => positionOf(tenant, factId), SYNC_ID_DEADLINE_MS);
      if (position === null) throw badAfter();
      return position;
    }
    try {
      return Number(cursors.decode(after, bindingOf(tenant)).values[0]);
    } catch {
      throw badAfter();
    }
  }

  return {
    /** Throws BAD_USER_INPUT for an `after` that is not of this stream and tenant. */
    async subscribe<K extends string, E>(
      tenant: Tenant,
      { field, after, resumeAfter, toEvent }: Subscription<K, E>,
    ): Promise<AsyncIterableIterator<SourceEvent<K, E>>> {
      const position = resumeAfter ?? (after == null ? null : await positionAfter(tenant, after));
      const items = feed.subscribe(tenant, position === null ? {} : { after: position });
      return mapItems(items, async (item) => {
        const cursor = cursors.encode({ ...bindingOf(tenant), values: [item.seq] });
        const event = item.kind === 'fact' ? await toEvent(item, cursor) : signOfLife(item, cursor);
        return event === null ? null : ({ [field]: event, position: item.seq, cursor } as SourceEvent<K, E>);
      });
    },
  };
}

function signOfLife(item: Exclude<FeedItem, { kind: 'fact' }>, cursor: string): SignOfLife {
  if (item.kind === 'heartbeat') return { __typename: 'StreamHeartbeat', cursor };
  return { __typename: 'ResyncRequired', cursor, reason: item.reason };
}

function badAfter(): DomainError {
  return new DomainError('BAD_USER_INPUT', 'The value of after is no position of this stream.', {
    field: 'after',
  });
}

/** map + filter over a feed. Not an async generator: its return() would wait for the next item. */
function mapItems<T>(
  items: AsyncIterableIterator<FeedItem>,
  toEvent: (item: FeedItem) => Promise<T | null>,
): AsyncIterableIterator<T> {
  const end = { done: true as const, value: undefined };
  return {
    async next() {
      for (;;) {
        const { done, value } = await items.next();
        if (done) return end;
        const event = await toEvent(value);
        if (event !== null) return { done: false, value: event };
      }
    },
    async return() {
      await items.return?.();
      return end;
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
