/**
 * The client's end of subscriptions: graphql-transport-ws (graphql-ws) over ws.
 *
 *   upgrade ──origin, path──▶ socket ──graphql-ws protocol──▶ session ──▶ operations
 *             403, 404, 503     4406 · 4400 · 4409 · 1009
 *
 * One interval pings all sockets and gives up those that did not answer the last ping. Revocations reach every
 * socket of the organisation at once. Shutdown refuses upgrades, lets answers finish, and closes the sockets one
 * after the other, so that their clients do not reach the next router in the same instant.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Log } from '@taskflow/kit/log';
import { GRAPHQL_TRANSPORT_WS_PROTOCOL, makeServer, type Server } from 'graphql-ws';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import type { StreamKind } from '../accept.ts';
import type { Cookies } from '../cookies.ts';
import type { Answer, Exchange } from '../exchange.ts';
import type { LoadedSupergraph } from '../gateway/loaded-supergraph.ts';
import type { LocalSubgraphs } from '../gateway/local-transport.ts';
import type { Supergraph } from '../gateway/supergraph.ts';
import type { Pipeline } from '../pipeline.ts';
import type { Revocation } from '../revocation.ts';
import type { Epochs } from '../scope.ts';
import { isOwnOrigin, originMatcher } from '../stages/cors-csrf.ts';
import { createSocketAdmission } from './admission.ts';
import { CLOSE } from './close-codes.ts';
import type { DeliveryLimits } from './delivery.ts';
import { createGate } from './gate.ts';
import { createHttpStreams } from './http-stream.ts';
import { createLocalUpstream } from './local-upstream.ts';
import { createSeats } from './seats.ts';
import { createSession, type Iteration, type Session, type SessionDeps } from './session.ts';
import { createSharedFeeds } from './shared-feeds.ts';
import { createUpstream, type Upstream } from './upstream.ts';

export interface SubscriptionSocketOptions {
  readonly pipeline: Pipeline;
  readonly revocation: Pick<Revocation, 'check' | 'onRevoked'>;
  readonly epochs: Pick<Epochs, 'move'>;
  readonly supergraph: Pick<Supergraph, 'onSwap'>;
  /** Those of this process, by name: listened to without a socket. */
  readonly localSubgraphs?: LocalSubgraphs | undefined;
  readonly log: Log;
  /** The client's address, where the peer is a trusted proxy. */
  addressOf?(request: IncomingMessage): string;
  readonly config: {
    /** Pages that may connect besides our own, as CORS takes them. No Origin means no page: let in, without cookies. */
    readonly origins: readonly string[];
    /** Sockets without a token are let in, and calls are not signed. */
    readonly isAnonymousAllowed?: boolean;
    /** Cookies of the upgrade are taken for `authorization` where `connection_init` has none. */
    readonly cookies?: Cookies | null;
    readonly path?: string;
    readonly sockets: SocketLimits;
    readonly heartbeatMs?: number;
    /** Within this long after `stop()` every socket is closed and every stream has ended. */
    readonly drainMs?: number;
    readonly delivery?: Partial<DeliveryLimits>;
  };
}

export interface SubscriptionStatus {
  readonly sockets: number;
  /** Subscriptions over HTTP. */
  readonly streams: number;
  /** Operations of all sockets that have not ended. */
  readonly operations: number;
  /** Events being rendered, and those whose turn has not come. */
  readonly events: { running: number; waiting: number };
  /** Feeds with several listeners (or that may have), and all of those. */
  readonly shared: { feeds: number; listeners: number };
  /** By address of the subgraph. */
  readonly upstreams: Readonly<Record<string, ReturnType<Upstream['status']>>>;
}

export interface SubscriptionSocket {
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Answers a prepared subscription over HTTP; the answer is what to send instead, null: the stream has begun. */
  openStream(exchange: Exchange, response: ServerResponse, kind: StreamKind): Promise<Answer | null>;
  status(): SubscriptionStatus;
  /** Resolves when every socket and stream of clients, and every upstream socket, is closed. Safe to call twice. */
  stop(): Promise<void>;
}

/** Described in config.ts, where the numbers come from. */
export interface SocketLimits {
  readonly perUserMax: number;
  readonly perTenantMax: number;
  readonly operationsPerSocketMax: number;
  readonly operationsPerUserMax: number;
  readonly operationsPerTenantMax: number;
  /** New sockets; those that are established are not touched. */
  readonly perSecond: number;
  readonly messageBytesMax: number;
  readonly pingIntervalMs: number;
  readonly initTimeoutMs: number;
}

/** An honest client sends a message in one piece; these bound what a dishonest one can make us hold. */
const FRAGMENTS_MAX = 64;
const BUFFERED_CHUNKS_MAX = 1024;
/** A client that writes without reading: all its operations and pongs together never need this much. */
const BUFFERED_BYTES_MAX = 8 * 1024 * 1024;
/** Of an HTTP stream that has nothing to say: below the 15 s of the strictest proxies. */
const HEARTBEAT_MS = 10_000;
/** How long a client may take over the close handshake. An option that @types/ws does not know yet. */
const closeTimeout: object = { closeTimeout: 3_000 };
const DRAIN_MS = 5_000;
/** Events rendered at once in this process: enough to keep the subgraphs busy, few enough to keep queries fast. */
const RENDERS_MAX = 64;

export function createSubscriptionSocket(options: SubscriptionSocketOptions): SubscriptionSocket {
  const { config, log, revocation } = options;
  const { path = '/graphql' } = config;
  const { sockets: limits } = config;
  const isAllowedOrigin = originMatcher(config.origins);
  const upstreams = new Map<string, Upstream>();
  const gate = createGate(RENDERS_MAX);
  const sharedFeeds = createSharedFeeds();
  const deps: SessionDeps = {
    pipeline: options.pipeline,
    revocation,
    gate,
    sharedFeeds,
    epochs: options.epochs,
    onSwap: options.supergraph.onSwap,
    addressOf: options.addressOf ?? ((request) => request.socket.remoteAddress ?? ''),
    upstreamOf: (supergraph, subgraph) => upstreamOf(upstreams, supergraph, subgraph, options),
    seats: createSeats({ perUserMax: limits.perUserMax, perTenantMax: limits.perTenantMax }),
    operationSeats: createSeats({
      perUserMax: limits.operationsPerUserMax,
      perTenantMax: limits.operationsPerTenantMax,
    }),
    isAnonymousAllowed: config.isAnonymousAllowed ?? false,
    cookies: config.cookies ?? null,
    operationsMax: limits.operationsPerSocketMax,
    ...(config.delivery ? { limits: config.delivery } : {}),
  };
  const drainMs = config.drainMs ?? DRAIN_MS;
  const streams = createHttpStreams({ ...deps, drainMs, heartbeatMs: config.heartbeatMs ?? HEARTBEAT_MS });
  const protocol = createProtocol(limits.initTimeoutMs);
  const admission = createSocketAdmission(limits.perSecond);
  const clients = new Map<WebSocket, Session>();
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: limits.messageBytesMax,
    maxFragments: FRAGMENTS_MAX,
    maxBufferedChunks: BUFFERED_CHUNKS_MAX,
    allowSynchronousEvents: false,
    ...closeTimeout,
    // A foreign subprotocol is taken up, so that its client can read why it is closed: 4406.
    handleProtocols: (offered) =>
      offered.has(GRAPHQL_TRANSPORT_WS_PROTOCOL) ? GRAPHQL_TRANSPORT_WS_PROTOCOL : first(offered),
  });
  const stopPinging = pingAll(clients, limits.pingIntervalMs);
  const stopListening = revocation.onRevoked((orgId) => {
    for (const session of clients.values()) session.recheck(orgId);
    streams.recheck(orgId);
  });
  let stopping: Promise<void> | null = null;

  function accept(socket: WebSocket, request: IncomingMessage): void {
    const session = createSession(deps, socket, request);
    clients.set(socket, session);
    const closed = protocol.opened(protocolSocketOf(socket, log), { session });
    // ws closes the socket itself after an error (1009, a malformed frame); there is nobody to tell.
    socket.on('error', (error) => log.debug({ err: error }, 'client socket error'));
    socket.on('close', (code, reason) => {
      clients.delete(socket);
      session.release();
      void closed(code, String(reason));
    });
  }

  async function stop(): Promise<void> {
    stopListening();
    await Promise.all([closeStaggered(clients, drainMs), streams.stop()]);
    stopPinging();
    for (const upstream of upstreams.values()) upstream.stop();
  }

  return {
    handleUpgrade(request, socket, head) {
      const refusal = stopping
        ? '503 Service Unavailable'
        : refusalOf(request, path, isAllowedOrigin, deps.cookies);
      if (refusal) return refuseUpgrade(socket, refusal);
      const afterS = admission.refuse();
      if (afterS !== null) return refuseUpgrade(socket, '503 Service Unavailable', afterS);
      server.handleUpgrade(request, socket, head, accept);
    },
    openStream: streams.open,
    status: () => ({
      sockets: clients.size,
      streams: streams.count(),
      operations: [...clients.values()].reduce((sum, session) => sum + session.status().operations, 0),
      events: gate.status(),
      shared: sharedFeeds.status(),
      upstreams: Object.fromEntries([...upstreams].map(([url, upstream]) => [url, upstream.status()])),
    }),
    stop() {
      stopping ??= stop();
      return stopping;
    },
  };
}

/** The protocol of graphql-ws; what an operation does is the session's business. */
function createProtocol(initTimeoutMs: number): Server<{ session: Session }> {
  const deliver = (args: { contextValue?: unknown }) => args.contextValue as Iteration;
  return makeServer<Record<string, unknown>, { session: Session }>({
    connectionInitWaitTimeout: initTimeoutMs,
    onConnect: ({ extra, connectionParams }) => extra.session.connect(connectionParams),
    async onSubscribe({ extra }, id, payload) {
      const started = await extra.session.start(id, payload);
      if (started.kind === 'refused') return started.errors;
      const { document, supergraph, iteration } = started;
      const { operationName } = payload;
      return {
        schema: supergraph.schema,
        document,
        contextValue: iteration,
        ...(operationName ? { operationName } : {}),
      };
    },
    execute: deliver,
    subscribe: deliver,
  });
}

/** The socket as graphql-ws sees it. */
function protocolSocketOf(socket: WebSocket, log: Log) {
  return {
    protocol: socket.protocol,
    send: (text: string) =>
      new Promise<void>((resolve) => {
        if (socket.readyState !== socket.OPEN) resolve();
        else socket.send(text, () => resolve());
      }),
    close: (code?: number, reason?: string) => socket.close(code, reason),
    onMessage(handle: (text: string) => Promise<void>) {
      socket.on('message', (bytes: RawData, isBinary: boolean) => {
        if (socket.bufferedAmount > BUFFERED_BYTES_MAX) return socket.terminate();
        if (isBinary) return socket.close(CLOSE.badMessage, 'Messages are text.');
        handle(String(bytes)).catch((error: Error) => {
          // Only graphql-ws itself throws here, for a message type that is the server's to send.
          if (error.message.startsWith('Unexpected message of type')) {
            return socket.close(CLOSE.badMessage, 'Invalid message received');
          }
          log.error({ err: error }, 'unexpected error while handling a socket message');
          socket.close(CLOSE.internalError, 'Internal error');
        });
      });
    },
  };
}

function upstreamOf(
  known: Map<string, Upstream>,
  supergraph: LoadedSupergraph,
  subgraph: string,
  { localSubgraphs, log }: Pick<SubscriptionSocketOptions, 'localSubgraphs' | 'log'>,
): Upstream {
  const url = supergraph.subgraphs.get(subgraph)?.url;
  if (!url) throw new Error(`The supergraph has no address for ${subgraph}.`);
  const local = localSubgraphs?.get(subgraph);
  const open = () => (local ? createLocalUpstream(local) : createUpstream({ subgraph, url, log }));
  const upstream = known.get(url) ?? open();
  known.set(url, upstream);
  return upstream;
}

function refusalOf(
  request: IncomingMessage,
  path: string,
  isAllowed: (origin: string) => boolean,
  cookies: Cookies | null,
): string | null {
  if (request.url?.split('?')[0] !== path) return '404 Not Found';
  const { origin, host } = request.headers;
  if (origin === undefined) return cookies?.read(request.headers).accessToken ? '403 Forbidden' : null;
  if (isAllowed(origin)) return null;
  return isOwnOrigin(origin, host) ? null : '403 Forbidden';
}

function refuseUpgrade(socket: Duplex, status: string, retryAfterS?: number): void {
  socket.on('error', () => {});
  const retryAfter = retryAfterS === undefined ? '' : `Retry-After: ${retryAfterS}\r\n`;
  socket.end(`HTTP/1.1 ${status}\r\n${retryAfter}Connection: close\r\nContent-Length: 0\r\n\r\n`);
}

function first(offered: Set<string>): string | false {
  for (const protocol of offered) return protocol;
  return false;
}

function pingAll(clients: ReadonlyMap<WebSocket, Session>, intervalMs: number): () => void {
  const silent = new WeakSet<WebSocket>();
  const timer = setInterval(() => {
    for (const socket of clients.keys()) {
      if (silent.has(socket)) {
        socket.terminate();
        continue;
      }
      silent.add(socket);
      socket.ping();
      socket.once('pong', () => silent.delete(socket));
    }
  }, intervalMs);
  timer.unref();
  return () => clearInterval(timer);
}

/** Spreads the closes over the first half of `drainMs`; the second half is for answers on their way. */
async function closeStaggered(clients: ReadonlyMap<WebSocket, Session>, drainMs: number): Promise<void> {
  const deadline = Date.now() + drainMs;
  const all = [...clients];
  await Promise.all(
    all.map(async ([socket, session], index) => {
      const gone = new Promise<void>((resolve) => {
        if (socket.readyState === socket.CLOSED) resolve();
        else socket.once('close', () => resolve());
      });
      // One a millisecond, so that a lone developer's socket does not hold up Ctrl-C.
      await pause(Math.min(index, (drainMs / 2) * (index / all.length)));
      while (session.status().answering > 0 && Date.now() < deadline) await pause(ANSWER_POLL_MS);
      session.close(CLOSE.goingAway, 'The server is going away: connect again.');
      setTimeout(() => socket.terminate(), Math.max(0, deadline - Date.now())).unref();
      await gone;
    }),
  );
}

const ANSWER_POLL_MS = 20;

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
