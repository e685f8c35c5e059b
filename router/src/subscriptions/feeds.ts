/**
 * Upstream feeds: what one listener hears of one subscription at its owning subgraph.
 *
 *   open ──▶ listening ──pause──▶ paused ──resume──▶ listening      leaves the subgraph, asks for what came since
 *                │  ▲
 *      socket lost, or the subgraph cannot go on for now: re-subscribed from the last position
 *
 * Invariants: positions only rise, so a listener hears each event once and in order; only ResyncRequired may
 * go back, because it is the subgraph's word that the positions before it mean nothing any more.
 *
 * A feed has one listener. Where several viewers read the same, that listener is a shared feed (shared-feeds.ts).
 */
import type { FetchNode } from '@apollo/query-planner';
import type { PreparedOperation } from '../exchange.ts';
import { isNews, type Placed } from './splice.ts';
import type { SubscribePayload, Upstream, UpstreamError, UpstreamResult } from './upstream.ts';

export interface FeedEvent extends Placed {
  readonly result: UpstreamResult;
  /** The client's handle to go on after this event, when the subgraph or the selection tells it. */
  readonly cursor: string | null;
  /** Size of the upstream message: what a waiting event is taken to weigh. */
  readonly bytes: number;
  /** The event as the client selected it: the payload of its frame, as JSON. Never rejects. */
  payload(): Promise<string>;
}

export type FeedEnd =
  | { readonly kind: 'completed' }
  | { readonly kind: 'refused'; readonly errors: readonly UpstreamError[] }
  | { readonly kind: 'unavailable' };

export interface FeedListener {
  event(event: FeedEvent): void;
  /** Told once; nothing follows it. */
  ended(end: FeedEnd): void;
}

export interface FeedSource {
  readonly upstream: Upstream;
  readonly primary: FetchNode;
  /** The operation's variables; the feed sends those that its fetch uses. */
  readonly variables: Readonly<Record<string, unknown>>;
  /** A context for these exact words, signed anew for each (re-)subscription; null where calls are unsigned. */
  sign(query: string, variables: Record<string, unknown>): string | null;
  /** The payload of the frame. Never rejects. */
  render(result: UpstreamResult): Promise<string>;
  /** From now on events are rendered by this operation, whose plan is the same. */
  use(prepared: PreparedOperation): void;
}

export interface Feed {
  /** Stops listening without losing the place. False, and nothing happens, when no event told its position. */
  pause(): boolean;
  resume(): void;
  /** Ends the feed; the subgraph is told at once. */
  leave(): void;
}

/**
 * A subgraph that lost its database says so per subscription, and is asked again for as long as a lost socket
 * would be, every half to one second.
 */
const RETRY_FOR_MS = 60_000;
const RETRY_AFTER_MS = 1_000;

/** Names of the conventions that every event union shares (schema/conventions.graphql). */
const HEARTBEAT = 'StreamHeartbeat';
const RESYNC = 'ResyncRequired';

/** `after`: the position to go on from, in place of what the operation says. */
export function openFeed(source: FeedSource, listener: FeedListener, after: number | null = null): Feed {
  const { upstream, primary } = source;
  const variables = variablesOf(source);
  let last = after;
  let stopListening: (() => void) | null = null;
  let retry: NodeJS.Timeout | undefined;
  let retryUntil: number | null = null;
  let isEnded = false;

  function start(): SubscribePayload {
    const context = source.sign(primary.operation, variables);
    return {
      query: primary.operation,
      variables,
      ...(primary.operationName ? { operationName: primary.operationName } : {}),
      extensions: { ...(context === null ? {} : { context }), ...(last === null ? {} : { after: last }) },
    };
  }

  function end(how: FeedEnd): void {
    isEnded = true;
    stopListening = null;
    listener.ended(how);
  }

  /** An established listener outlasts a passing outage of its subgraph. */
  function refused(errors: readonly UpstreamError[]): void {
    stopListening = null;
    const isPassing = last !== null && errors[0]?.extensions?.retryable === true;
    retryUntil ??= Date.now() + RETRY_FOR_MS;
    if (!isPassing || Date.now() > retryUntil) end({ kind: 'refused', errors });
    else retry = setTimeout(listen, RETRY_AFTER_MS * (0.5 + Math.random() / 2));
  }

  function listen(): void {
    stopListening = upstream.subscribe(start, {
      next(result, bytes) {
        const place = placeOf(result);
        if (!isNews({ ...place, bytes }, last)) return;
        last = place.position ?? last;
        retryUntil = null;
        listener.event({ ...place, result, bytes, payload: () => source.render(result) });
      },
      refused,
      completed: () => end({ kind: 'completed' }),
      unavailable: () => end({ kind: 'unavailable' }),
    });
  }

  listen();
  return {
    pause() {
      if (last === null) return false;
      clearTimeout(retry);
      stopListening?.();
      stopListening = null;
      return true;
    },
    resume() {
      if (!isEnded && !stopListening) listen();
    },
    leave() {
      isEnded = true;
      clearTimeout(retry);
      stopListening?.();
      stopListening = null;
    },
  };
}

function variablesOf({ primary, variables }: FeedSource): Record<string, unknown> {
  const used: Record<string, unknown> = {};
  for (const name of primary.variableUsages ?? []) {
    if (Object.hasOwn(variables, name) && variables[name] !== undefined) used[name] = variables[name];
  }
  return used;
}

function kindOf(typename: unknown): Placed['kind'] {
  if (typename === HEARTBEAT) return 'heartbeat';
  return typename === RESYNC ? 'resync' : 'event';
}

function placeOf({ data, extensions }: UpstreamResult) {
  // A subscription has exactly one root field.
  const root = Object.values(data ?? {})[0] as Record<string, unknown> | null | undefined;
  const position = extensions?.position;
  const cursor = extensions?.cursor ?? root?.cursor;
  return {
    position: typeof position === 'number' && Number.isSafeInteger(position) ? position : null,
    cursor: typeof cursor === 'string' ? cursor : null,
    kind: kindOf(root?.__typename),
  };
}
