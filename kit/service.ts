/**
 * The harness of a subgraph: one port with GraphQL over HTTP and graphql-ws, health, and an ordered stop.
 *
 *   POST /graphql   signed context over the exact bytes, or 401         service-http.ts
 *   WS   /graphql   signed context per subscribe message                service-socket.ts, service-stream.ts
 *   GET  /health…   without a context                                   health.ts
 *   GET  <routes>   extra public documents, without a context
 *
 *   starting ─▶ serving ─▶ stopping ──────────────────────────────────────────────────────────▶ stopped
 *                          readiness 503 → (drainDelayMs) → no new connections, `Connection: close`
 *                          → requests in flight, ≤ 10 s → sockets closed with 1001 → onStop steps in order
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buildSubgraphSchema, type GraphQLResolverMap } from '@apollo/subgraph';
import { type DocumentNode, type GraphQLSchema, isObjectType, parse } from 'graphql';
import { Cancellation } from './cancellation.ts';
import { DomainError, toClientError } from './errors.ts';
import { createHealth, type Probes } from './health.ts';
import { CONTEXT_HEADER, type KeyRing } from './identity.ts';
import type { Log } from './log.ts';
import { type BuildContext, createGate, type NeededScope, type Origin } from './service-context.ts';
import {
  badRequest,
  createGraphqlHttp,
  errorAnswer,
  type GraphqlHttp,
  type HttpAnswer,
  JSON_HEADERS,
  type ObservedRequest,
} from './service-http.ts';
import { detachScalars, type LocalCall, type LocalReply } from './service-local.ts';
import type { LocalListener, LocalSubscribePayload } from './service-local-stream.ts';
import { createSocketServer, type SocketServer } from './service-socket.ts';
import { createHttpServer, listen, originOf, pathOf, readBody } from './service-wire.ts';
import { createSharedFields } from './shared.ts';

export type { Probe, Probes } from './health.ts';
export type { BuildContext, RequestContext } from './service-context.ts';

export interface RouteAnswer {
  status?: number;
  headers?: Record<string, string>;
  /** Sent as JSON. */
  body: unknown;
}

export interface GraphqlServiceOptions {
  /** The subgraph's name, and the audience of its contexts: `task`. */
  readonly name: string;
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  readonly typeDefs: string | DocumentNode;
  /** Typed by codegen where it is written; checked against the SDL when the schema is built. */
  readonly resolvers: object;
  readonly contextRing: KeyRing;
  /** Development only: unsigned calls from loopback, as an anonymous caller who may ask `_service` and `_entities`. */
  readonly allowUnsigned: boolean;
  readonly log: Log;
  /** Builds loaders and use cases, once a request and once a subscription event. */
  readonly context: BuildContext;
  readonly probes: Probes;
  /** Public documents under GET: `{ '/.well-known/jwks.json': … }`. */
  readonly routes?: Readonly<Record<string, () => RouteAnswer | Promise<RouteAnswer>>>;
  /** Root fields that an anonymous context may select. */
  readonly anonymousFields: readonly string[];
  /** What an API key needs for a root field; absent: READ for reads, and no mutation at all. */
  readonly neededScope?: NeededScope;
  readonly observe?: { onRequest?(request: ObservedRequest): void };
  /** How long to keep accepting after readiness turned 503: the interval of the load balancer's checks. */
  readonly drainDelayMs?: number;
  /** Run in order after the last request and socket are gone: consumers, relay, feeds, pools. */
  readonly onStop?: readonly (() => unknown)[];
}

export interface GraphqlService {
  /** `http://127.0.0.1:4003`, without a path; known once `start` has resolved. */
  readonly url: string;
  /** Rejects with one clear error when the port is taken. May be called again after `stop`. */
  start(): Promise<void>;
  /** Ordered and bounded; safe to call twice, and without `start`. */
  stop(): Promise<void>;
  /** A call without HTTP, for a router in the same process: the same verification, the answer as objects. */
  call(call: LocalCall): Promise<LocalReply>;
  /** A subscription without a socket, likewise. Returns the way to leave. */
  subscribe(payload: LocalSubscribePayload, listener: LocalListener): () => void;
}

export const GRAPHQL_PATH = '/graphql';

const DRAIN_DEADLINE_MS = 10_000;
/** For each step of `onStop`: a pool that hangs must not keep the next one from closing. */
const STOP_STEP_DEADLINE_MS = 5_000;

/** A call in process has no address that could excuse a missing signature. */
const IN_PROCESS: Origin = { address: undefined, isDirect: false };

const isStopping = () =>
  new DomainError('SUBGRAPH_UNAVAILABLE', 'The service is stopping.', { retryable: true });

interface Run {
  phase: 'starting' | 'serving' | 'stopping';
  readonly server: Server;
  readonly graphql: GraphqlHttp;
  readonly sockets: SocketServer;
  /** Answers not yet finished, over HTTP and in process. */
  readonly inFlight: Set<Promise<unknown>>;
  isClosing: boolean;
}

/** Builds a subgraph's server from its SDL and resolvers. Nothing is opened before `start`. */
export function createGraphqlService(options: GraphqlServiceOptions): GraphqlService {
  const { name, host, log } = options;
  const typeDefs = typeof options.typeDefs === 'string' ? parse(options.typeDefs) : options.typeDefs;
  const schema = schemaOf({ ...options, typeDefs });
  const shared = createSharedFields(typeDefs, schema);
  const gate = createGate({ ...options, ring: options.contextRing, shared });
  const health = createHealth(options.probes, log);
  let run: Run | null = null;
  let stopping: Promise<void> | null = null;
  let isStopped = false;
  let url = `http://${host}:${options.port}`;

  function createRun(): Run {
    const deps = {
      schema,
      gate,
      ring: options.contextRing,
      log,
      build: options.context,
      observe: options.observe?.onRequest,
      originOf,
    };
    const created: Run = {
      phase: 'starting',
      server: createHttpServer(),
      graphql: createGraphqlHttp(deps),
      sockets: createSocketServer(deps),
      inFlight: new Set(),
      isClosing: false,
    };
    created.server.on('request', (request, response) => void serve(created, request, response));
    created.server.on('upgrade', (request, socket, head) => {
      socket.on('error', () => {}); // a peer that vanishes here must not end the process
      if (pathOf(request) === GRAPHQL_PATH && !created.isClosing)
        created.sockets.upgrade(request, socket, head);
      else socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    });
    return created;
  }

  async function serve(current: Run, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const caller = new Cancellation();
    const closed = new Promise<void>((resolve) =>
      response.once('close', () => {
        if (!response.writableFinished) caller.cancel();
        resolve();
      }),
    );
    track(current, closed);
    let result: HttpAnswer;
    try {
      result = current.isClosing ? refuseWhileClosing() : await route(current, request, caller);
    } catch (error) {
      if (request.destroyed && !request.complete) return; // the sender left in the middle: nobody to answer
      result = errorAnswer(500, error, { requestId: null, log });
    }
    // A body that was not read to its end would be taken for the next request on this connection.
    if (current.phase === 'stopping' || !request.complete) response.setHeader('connection', 'close');
    if (response.destroyed) return;
    response.writeHead(result.status, {
      ...result.headers,
      'content-length': String(Buffer.byteLength(result.body)),
    });
    response.end(request.method === 'HEAD' ? undefined : result.body);
  }

  function refuseWhileClosing(): HttpAnswer {
    return errorAnswer(503, isStopping(), { requestId: null, log });
  }

  function replyWhileClosing(): LocalReply {
    const errors = [toClientError(isStopping(), { requestId: null, log })];
    return { status: 503, headers: {}, answer: { errors } };
  }

  async function route(current: Run, request: IncomingMessage, caller: Cancellation): Promise<HttpAnswer> {
    const path = pathOf(request);
    if (path === GRAPHQL_PATH) return answerGraphql(current, request, caller);
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    const extra = Object.hasOwn(options.routes ?? {}, path) ? options.routes?.[path] : undefined;
    if (isRead && path === '/health/live') return json(200, { status: 'live' });
    if (isRead && path === '/health') return json(200, await health.report());
    if (isRead && path === '/health/ready') {
      const readiness = await health.readiness(current.phase);
      return json(readiness.ready ? 200 : 503, readiness);
    }
    if (isRead && extra) {
      const { status = 200, headers = {}, body } = await extra();
      return { status, headers: { ...JSON_HEADERS, ...headers }, body: JSON.stringify(body) };
    }
    return errorAnswer(404, badRequest('There is nothing at this path.'), { requestId: null, log });
  }

  async function answerGraphql(
    current: Run,
    request: IncomingMessage,
    caller: Cancellation,
  ): Promise<HttpAnswer> {
    const asking = { requestId: null, log };
    if (request.method !== 'POST')
      return errorAnswer(405, badRequest('GraphQL is answered over POST.'), asking);
    const body = await readBody(request);
    if (body === null) return errorAnswer(413, badRequest('The body is too large.'), asking);
    const header = request.headers[CONTEXT_HEADER];
    const context = Array.isArray(header) ? header.join(',') : header;
    return current.graphql.answer({ context, body, origin: originOf(request), cancellation: caller });
  }

  async function start(): Promise<void> {
    if (run) throw new Error(`${name} is already started`);
    const created = createRun();
    run = created;
    isStopped = false;
    try {
      await created.graphql.start();
      await listen(created.server, options);
    } catch (error) {
      run = null;
      await created.graphql.stop().catch(() => {});
      throw error;
    }
    const { port } = created.server.address() as AddressInfo;
    url = `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
    created.phase = 'serving';
    log.info({ url }, `${name} is serving`);
  }

  async function stopOnce(): Promise<void> {
    const current = run;
    if (current) {
      current.phase = 'stopping';
      if (options.drainDelayMs) await new Promise((resolve) => setTimeout(resolve, options.drainDelayMs));
      await drain(current, log);
    }
    for (const step of options.onStop ?? []) await runStep(step, log);
    run = null;
    log.info(`${name} has stopped`);
  }

  return {
    get url() {
      return url;
    },
    start,
    stop() {
      if (isStopped) return Promise.resolve();
      stopping ??= stopOnce().finally(() => {
        stopping = null;
        isStopped = true;
      });
      return stopping;
    },
    call({ context, body, cancellation }) {
      if (!run || run.isClosing || run.phase === 'starting') return Promise.resolve(replyWhileClosing());
      return track(run, run.graphql.reply({ context, body, origin: IN_PROCESS, cancellation }));
    },
    subscribe(payload, listener) {
      if (run && !run.isClosing && run.phase !== 'starting') return run.sockets.subscribe(payload, listener);
      queueMicrotask(() => listener.lost());
      return () => {};
    },
  };
}

/** buildSubgraphSchema ignores resolvers of unknown types and fields; a misspelt one is an error here. */
function schemaOf({
  name,
  typeDefs,
  resolvers,
}: Pick<GraphqlServiceOptions, 'name' | 'resolvers'> & { typeDefs: DocumentNode }): GraphQLSchema {
  const schema = buildSubgraphSchema([{ typeDefs, resolvers: resolvers as GraphQLResolverMap<unknown> }]);
  detachScalars(schema);
  for (const [typeName, fields] of Object.entries(resolvers)) {
    const type = schema.getType(typeName);
    if (!type) throw new Error(`${name} has resolvers for ${typeName}, which its schema does not define`);
    if (!isObjectType(type)) continue;
    const unknown = Object.keys(fields).filter((key) => !key.startsWith('__') && !type.getFields()[key]);
    if (unknown.length > 0)
      throw new Error(`${name} has resolvers for unknown fields: ${typeName}.${unknown}`);
  }
  return schema;
}

function json(status: number, body: unknown): HttpAnswer {
  return { status, headers: { ...JSON_HEADERS, 'cache-control': 'no-store' }, body: JSON.stringify(body) };
}

function track<T>(run: Run, work: Promise<T>): Promise<T> {
  const tracked = work.finally(() => run.inFlight.delete(tracked));
  run.inFlight.add(tracked);
  return tracked;
}

async function drain(run: Run, log: Log): Promise<void> {
  run.isClosing = true;
  const closed = new Promise<void>((resolve) => {
    run.server.close(() => resolve());
  });
  const cut = Promise.withResolvers<void>();
  const deadline = setTimeout(() => {
    log.warn({ inFlight: run.inFlight.size }, 'requests were cut at the drain deadline');
    cut.resolve();
  }, DRAIN_DEADLINE_MS);
  await Promise.race([Promise.all(run.inFlight), cut.promise]);
  clearTimeout(deadline);
  await run.sockets.close();
  run.server.closeAllConnections();
  await closed;
  await run.graphql.stop();
}

async function runStep(step: () => unknown, log: Log): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const deadline = setTimeout(
    () => reject(new Error('a stop step did not end in time')),
    STOP_STEP_DEADLINE_MS,
  );
  try {
    await Promise.race([step(), promise]);
  } catch (error) {
    log.error({ err: error }, 'a stop step failed');
  } finally {
    clearTimeout(deadline);
  }
}
