/**
 * Feeds that several listeners hear, one for each key (sharing.ts): one subscription at the subgraph, one rendering of each event,
 * the same text to all.
 *
 *   first listener ─▶ opened ──event──▶ every listener, who asks for its payload: rendered once, when the first one does
 *   last listener leaves ─▶ the subgraph is told at once, the key is free
 *
 * A listener who comes later is greeted with a heartbeat of the place where the feed is, so that everybody knows a cursor from
 * the beginning. It is the feed's own first heartbeat with the cursor of now.
 */

import type { PreparedOperation } from '../exchange.ts';
import {
  type Feed,
  type FeedEnd,
  type FeedEvent,
  type FeedListener,
  type FeedSource,
  openFeed,
} from './feeds.ts';
import type { UpstreamResult } from './upstream.ts';

export interface SharedFeeds {
  /** Hears the feed of this key, which `open` opens when nobody does. */
  attach(key: string, open: () => FeedSource, listener: FeedListener): Seat;
  /** The same operation on another supergraph, with the same plan. */
  use(key: string, prepared: PreparedOperation): void;
  status(): { feeds: number; listeners: number };
}

/** A listener's place at a shared feed. */
export interface Seat {
  /** Everything behind this position is heard; null while the feed has not told any. */
  readonly position: number | null;
  /** A heartbeat of that position; null when there is none to give. */
  greeting(): FeedEvent | null;
  /** Safe to call twice. */
  leave(): void;
}

interface SharedFeed {
  readonly feed: Feed;
  readonly source: FeedSource;
  readonly listeners: Set<FeedListener>;
  position: number | null;
  cursor: string | null;
  /** As it came, before rendering merged anything into it. */
  heartbeat: { readonly result: UpstreamResult; readonly cursor: string } | null;
  greeting: FeedEvent | null;
}

export function createSharedFeeds(): SharedFeeds {
  const feeds = new Map<string, SharedFeed>();

  function open(key: string, source: FeedSource): SharedFeed {
    const listeners = new Set<FeedListener>();
    const feed = openFeed(source, {
      event: (event) => tell(shared, event),
      ended: (how) => end(key, shared, how),
    });
    const shared: SharedFeed = {
      ...{ feed, source, listeners },
      ...{ position: null, cursor: null, heartbeat: null, greeting: null },
    };
    feeds.set(key, shared);
    return shared;
  }

  function tell(shared: SharedFeed, event: FeedEvent): void {
    shared.position = event.position;
    shared.cursor = event.cursor;
    shared.greeting = null;
    if (event.kind === 'heartbeat' && event.cursor !== null && shared.heartbeat === null)
      shared.heartbeat = { result: structuredClone(event.result), cursor: event.cursor };
    const once = renderedOnce(event);
    for (const listener of shared.listeners) listener.event(once);
  }

  function end(key: string, shared: SharedFeed, how: FeedEnd): void {
    if (feeds.get(key) === shared) feeds.delete(key);
    for (const listener of [...shared.listeners]) {
      if (shared.listeners.delete(listener)) listener.ended(how);
    }
  }

  function leave(key: string, shared: SharedFeed, listener: FeedListener): void {
    if (!shared.listeners.delete(listener) || shared.listeners.size > 0) return;
    if (feeds.get(key) !== shared) return;
    feeds.delete(key);
    shared.feed.leave();
  }

  return {
    attach(key, sourceOf, listener) {
      const shared = feeds.get(key) ?? open(key, sourceOf());
      shared.listeners.add(listener);
      return {
        position: shared.position,
        greeting: () => {
          shared.greeting ??= greetingOf(shared);
          return shared.greeting;
        },
        leave: () => leave(key, shared, listener),
      };
    },
    use: (key, prepared) => feeds.get(key)?.source.use(prepared),
    status() {
      let listeners = 0;
      for (const shared of feeds.values()) listeners += shared.listeners.size;
      return { feeds: feeds.size, listeners };
    },
  };
}

function renderedOnce(event: FeedEvent): FeedEvent {
  let payload: Promise<string> | null = null;
  return {
    ...event,
    payload() {
      payload ??= event.payload();
      return payload;
    },
  };
}

function greetingOf({ heartbeat, position, cursor, source }: SharedFeed): FeedEvent | null {
  if (heartbeat === null || position === null || cursor === null) return null;
  const result = withCursor(heartbeat.result, heartbeat.cursor, cursor) as UpstreamResult;
  return renderedOnce({
    ...{ result, position, cursor, kind: 'heartbeat', bytes: 0 },
    payload: () => source.render(result),
  });
}

/** A copy with one cursor in place of the other, under whatever names the operation gives them. */
function withCursor(value: unknown, from: string, to: string): unknown {
  if (value === from) return to;
  if (Array.isArray(value)) return value.map((item) => withCursor(item, from, to));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, withCursor(item, from, to)]));
}
