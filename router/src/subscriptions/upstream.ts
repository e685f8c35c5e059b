/**
 * One graphql-ws connection to one subgraph, shared by every viewer that listens there.
 *
 *   idle ──first subscribe──▶ connecting ──ack──▶ open ──socket lost──▶ waiting (jittered back-off) ──▶ connecting
 *
 * A subscription stays in the table while the socket comes and goes: at each ack, `start()` is asked again for
 * its message, so that a re-subscription carries a fresh signed context and the position to go on from. It
 * leaves the table when the listener leaves, when the subgraph ends or refuses it (which touches no other), or
 * when no socket could be had for `patienceMs`.
 */

import type { Log } from '@taskflow/kit/log';
import { type ConnectionInitMessage, GRAPHQL_TRANSPORT_WS_PROTOCOL, MessageType } from 'graphql-ws';
import { WebSocket } from 'ws';

export interface UpstreamResult {
  readonly data?: Record<string, unknown> | null;
  readonly errors?: readonly UpstreamError[];
  readonly extensions?: Readonly<Record<string, unknown>>;
}

export interface UpstreamError {
  readonly message: string;
  readonly path?: readonly (string | number)[];
  readonly extensions?: Readonly<Record<string, unknown>>;
}

export interface SubscribePayload {
  readonly query: string;
  readonly variables: Record<string, unknown>;
  readonly operationName?: string;
  readonly extensions: Record<string, unknown>;
}

/** What becomes of one subscription. After `refused`, `completed` or `unavailable` nothing more is told. */
export interface UpstreamListener {
  next(result: UpstreamResult, bytes: number): void;
  refused(errors: readonly UpstreamError[]): void;
  completed(): void;
  unavailable(): void;
}

export interface Upstream {
  /** Listens until the returned function is called (the subgraph is told at once) or the subscription ends. */
  subscribe(start: () => SubscribePayload, listener: UpstreamListener): () => void;
  status(): { state: State; subscriptions: number };
  stop(): void;
}

type State = 'idle' | 'connecting' | 'open' | 'waiting' | 'stopped';

interface Entry {
  readonly start: () => SubscribePayload;
  readonly listener: UpstreamListener;
  /** Runs while the entry is not subscribed upstream. */
  patience: NodeJS.Timeout | null;
}

/** How long a new listener waits for a first socket: as long as a query would. */
const FIRST_PATIENCE_MS = 5_000;
/** How long an established listener outlasts an outage: a restarting subgraph is back in far less. */
const PATIENCE_MS = 60_000;
/** Back-off: 50–100 ms at first, so that a restart is hardly seen, then doubling up to 1–2 s. */
const BACKOFF_MIN_MS = 100;
const BACKOFF_MAX_MS = 2_000;
/** A half-open connection is noticed after two of these. */
const PING_INTERVAL_MS = 10_000;
const HANDSHAKE_TIMEOUT_MS = 3_000;
/** From the first packet to the subgraph's ack; a subgraph that is this slow is not up. */
const ACK_TIMEOUT_MS = 5_000;
/** One event of one subgraph, before the entities of the others are added. */
const FRAME_BYTES_MAX = 4 * 1024 * 1024;

export function createUpstream(options: {
  subgraph: string;
  /** http(s) or ws(s). */
  url: string;
  log: Log;
  patienceMs?: number;
  firstPatienceMs?: number;
}): Upstream {
  const { subgraph, log, patienceMs = PATIENCE_MS, firstPatienceMs = FIRST_PATIENCE_MS } = options;
  const entries = new Map<string, Entry>();
  let state: State = 'idle';
  let socket: WebSocket | null = null;
  let retry: NodeJS.Timeout | null = null;
  let attempt = 0;
  let lastId = 0;

  function connect(): void {
    state = 'connecting';
    const opening = new WebSocket(socketUrlOf(options.url), GRAPHQL_TRANSPORT_WS_PROTOCOL, {
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      maxPayload: FRAME_BYTES_MAX,
      perMessageDeflate: false,
    });
    socket = opening;
    const stopWatching = terminateWhenSilent(opening);
    const ackTimer = setTimeout(() => opening.terminate(), ACK_TIMEOUT_MS);
    opening.on('open', () =>
      opening.send(JSON.stringify({ type: MessageType.ConnectionInit } satisfies ConnectionInitMessage)),
    );
    opening.on('message', (bytes, isBinary) => {
      if (socket !== opening || isBinary) return;
      clearTimeout(ackTimer);
      receive(opening, String(bytes));
    });
    opening.on('error', (error) => log.debug({ err: error, subgraph }, 'upstream socket error'));
    opening.on('close', (code) => {
      clearTimeout(ackTimer);
      stopWatching();
      if (socket === opening) lost(code);
    });
  }

  function receive(from: WebSocket, text: string): void {
    const message = messageOf(text);
    if (message === null) from.terminate();
    else if (message.type === MessageType.ConnectionAck) opened(from);
    else if (message.type === MessageType.Ping) from.send(JSON.stringify({ type: MessageType.Pong }));
    else tell(String(message.id), message, Buffer.byteLength(text));
  }

  function tell(id: string, { type, payload }: UpstreamMessage, bytes: number): void {
    // An unknown id is a listener that has left while its last messages were on the way.
    const entry = entries.get(id);
    if (!entry) return;
    if (type === MessageType.Next) {
      entry.listener.next((payload ?? {}) as UpstreamResult, bytes);
    } else if (type === MessageType.Error) {
      drop(id, entry);
      entry.listener.refused((payload ?? []) as UpstreamError[]);
    } else if (type === MessageType.Complete) {
      drop(id, entry);
      entry.listener.completed();
    }
  }

  function opened(on: WebSocket): void {
    if (attempt > 0) log.info({ subgraph, subscriptions: entries.size }, 'upstream socket is back');
    state = 'open';
    attempt = 0;
    for (const [id, entry] of entries) start(on, id, entry);
  }

  function start(on: WebSocket, id: string, entry: Entry): void {
    if (entry.patience) clearTimeout(entry.patience);
    entry.patience = null;
    on.send(JSON.stringify({ id, type: MessageType.Subscribe, payload: entry.start() }));
  }

  function lost(code: number): void {
    socket = null;
    if (entries.size === 0) {
      state = 'idle';
      return;
    }
    if (state === 'open') log.warn({ subgraph, code, subscriptions: entries.size }, 'upstream socket lost');
    state = 'waiting';
    for (const [id, entry] of entries) entry.patience ??= waitFor(id, entry, patienceMs);
    const delayMs = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** attempt++);
    retry = setTimeout(
      () => {
        if (entries.size > 0) connect();
        else state = 'idle';
      },
      delayMs * (0.5 + Math.random() / 2),
    );
  }

  function waitFor(id: string, entry: Entry, ms: number): NodeJS.Timeout {
    return setTimeout(() => {
      drop(id, entry);
      entry.listener.unavailable();
    }, ms);
  }

  function drop(id: string, entry: Entry): void {
    if (entry.patience) clearTimeout(entry.patience);
    entries.delete(id);
  }

  return {
    subscribe(startOf, listener) {
      if (state === 'stopped') {
        queueMicrotask(() => listener.unavailable());
        return () => {};
      }
      const id = String(++lastId);
      const entry: Entry = { start: startOf, listener, patience: null };
      entries.set(id, entry);
      if (state === 'open' && socket) start(socket, id, entry);
      else entry.patience = waitFor(id, entry, firstPatienceMs);
      if (state === 'idle') connect();
      return () => {
        if (!entries.has(id)) return;
        drop(id, entry);
        if (state === 'open') socket?.send(JSON.stringify({ id, type: MessageType.Complete }));
      };
    },
    status: () => ({ state, subscriptions: entries.size }),
    stop() {
      state = 'stopped';
      if (retry) clearTimeout(retry);
      for (const [id, entry] of entries) drop(id, entry);
      const closing = socket;
      socket = null;
      closing?.close(1000);
      setTimeout(() => closing?.terminate(), 1_000).unref();
    },
  };
}

interface UpstreamMessage {
  readonly type?: unknown;
  readonly id?: unknown;
  readonly payload?: unknown;
}

function messageOf(text: string): UpstreamMessage | null {
  try {
    return JSON.parse(text) as UpstreamMessage | null;
  } catch {
    return null;
  }
}

function socketUrlOf(url: string): string {
  return url.replace(/^http/, 'ws');
}

/** Pings `socket` and gives it up when the answer to the last ping is still missing. Returns the way to stop. */
function terminateWhenSilent(socket: WebSocket): () => void {
  let isAlive = true;
  socket.on('pong', () => {
    isAlive = true;
  });
  const timer = setInterval(() => {
    if (!isAlive) socket.terminate();
    if (socket.readyState !== WebSocket.OPEN) return;
    isAlive = false;
    socket.ping();
  }, PING_INTERVAL_MS);
  timer.unref();
  return () => clearInterval(timer);
}
