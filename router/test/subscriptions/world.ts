/**
 * A small world for the socket: two real subgraphs (task owns the events, user owns the names) on ports of their
 * own, the router's pipeline in front of them, and clients that read every frame from the first.
 */
import { once } from 'node:events';
import {
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { composeServices } from '@apollo/composition';
import { parseKeyRing } from '@taskflow/kit/config';
import { DomainError } from '@taskflow/kit/errors';
import type { Viewer } from '@taskflow/kit/identity';
import { createLog } from '@taskflow/kit/log';
import type { RequestContext } from '@taskflow/kit/service';
import { createGraphqlService, type GraphqlService } from '@taskflow/kit/service';
import { COSTS_OFF } from '@taskflow/tests/kit/limits';
import { GraphQLError, parse } from 'graphql';
import { onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { readRouterConfig } from '../../src/config.ts';
import { Refusal } from '../../src/exchange.ts';
import { createCalling } from '../../src/gateway/calling.ts';
import { type LoadedSupergraph, loadSupergraph } from '../../src/gateway/loaded-supergraph.ts';
import type { LocalSubgraph } from '../../src/gateway/local-transport.ts';
import { answerTo, exchangeOf, send } from '../../src/http.ts';
import { createPipeline } from '../../src/pipeline.ts';
import type { RevocationReason } from '../../src/revocation.ts';
import { createSubscriptionSocket, type SubscriptionSocketOptions } from '../../src/subscriptions/socket.ts';
import type { AccessToken } from '../../src/tokens.ts';

const log = createLog({ process: 'test', level: process.env.LOG_LEVEL ?? 'silent' });
const CONTEXT_KEY = 'test:0123456789012345678901234567890123456789';

const LINK = `extend schema
  @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@shareable", "@composeDirective"])
  @link(url: "https://taskflow.example/shared/v1.0", import: ["@shared"])
  @composeDirective(name: "@shared")
  directive @shared(by: shared__Scope!, roles: [String!]) on FIELD_DEFINITION
  enum shared__Scope { TENANT ROLE }`;
const TASK_SDL = `${LINK}
  type Query { ping(delayMs: Int): String! }
  type Mutation { poke: Int! }
  type Subscription {
    taskEvents(after: String, refuse: String): TaskEvent! @shared(by: ROLE, roles: ["ORG_ADMIN"])
  }
  union TaskEvent = TaskChange | StreamHeartbeat | ResyncRequired
  type TaskChange {
    cursor: String! @shared(by: TENANT)
    number: Int! @shared(by: TENANT)
    text: String! @shared(by: TENANT)
    watchers: [User!]! @shared(by: TENANT)
    actor: User @shared(by: TENANT)
    viewerCanChange: Boolean!
  }
  type StreamHeartbeat { cursor: String! @shared(by: TENANT) }
  type ResyncRequired { cursor: String! @shared(by: TENANT) }
  type User @key(fields: "id", resolvable: false) { id: ID! @shared(by: TENANT) label: String @shared(by: TENANT) @shareable }`;
const USER_SDL = `${LINK}
  type Query { me: User }
  type User @key(fields: "id") { id: ID! @shared(by: TENANT) name: String! @shared(by: TENANT) isViewer: Boolean!
    label: String @shared(by: TENANT) @shareable }`;
const SDL = { task: TASK_SDL, user: USER_SDL };

/** What the task subgraph has to tell, in order; a stand-in for its outbox and feed. */
export class EventLog {
  readonly events: { position: number; text: string; kind: string }[] = [];
  /** Streams that are open now, and how often one was opened, with what position. */
  open = 0;
  readonly opened: { viewer: string | undefined; resumeAfter: number | null }[] = [];
  /** Streams say where they are as soon as they have told everything. */
  beats = false;
  /** Groups of viewers are refused, as by a subgraph that does not know them. */
  knowsGroups = true;
  /** The next this many subscriptions are refused as a passing outage. */
  outages = 0;
  private readonly wakers = new Set<() => void>();

  push(text = 'changed', kind = 'TaskChange'): void {
    this.events.push({ position: this.events.length + 1, text, kind });
    for (const wake of this.wakers) wake();
  }

  stream(context: RequestContext, after: string | null): AsyncIterableIterator<object> {
    const { resumeAfter, viewer, reader } = context;
    this.opened.push({ viewer: viewer?.userId ?? reader?.role, resumeAfter });
    let hasBeaten = !this.beats;
    let at = resumeAfter ?? (after === null ? this.events.length : Number(after.replace('c', '')));
    let wake = () => {};
    let isOver = false;
    const onPush = () => wake();
    this.wakers.add(onPush);
    this.open++;
    const over = () => {
      if (!isOver) this.open--;
      isOver = true;
      this.wakers.delete(onPush);
      wake();
      return Promise.resolve({ done: true as const, value: undefined });
    };
    return {
      next: async () => {
        if (!isOver && !hasBeaten && at >= this.events.length) {
          hasBeaten = true;
          return { done: false, value: { taskEvents: beatOf(at), position: at, cursor: `c${at}` } };
        }
        while (!isOver && at >= this.events.length) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
        const event = this.events[at++];
        if (isOver || !event) return over();
        return { done: false, value: sourceEventOf(event) };
      },
      return: over,
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }
}

function sourceEventOf(event: EventLog['events'][number]) {
  const { position } = event;
  return { taskEvents: eventOf(event), position, cursor: `c${position}` };
}

const beatOf = (position: number) => ({ __typename: 'StreamHeartbeat', cursor: `c${position}` });

function eventOf({ position, text, kind }: EventLog['events'][number]) {
  const cursor = `c${position}`;
  if (kind !== 'TaskChange') return { __typename: kind, cursor };
  const watchers = Array.from({ length: 10 }, (_, index) => ({ id: `u${index}` }));
  return {
    __typename: kind,
    cursor,
    number: position,
    text,
    watchers,
    actor: { id: 'u1', label: 'Label' },
    viewerCanChange: true,
  };
}

export interface World {
  readonly url: string;
  readonly log: EventLog;
  /** Requests that reached the subgraph `user`. */
  readonly userCalls: string[];
  readonly task: { stop(): Promise<void>; start(): Promise<void> };
  /** The same in process. */
  readonly local: LocalSubgraph;
  readonly user: { stop(): Promise<void> };
  readonly sockets: ReturnType<typeof createSubscriptionSocket>;
  /** The status of each HTTP request that was not answered by a stream. */
  readonly answered: readonly number[];
  /** As a lost network or a killed router does, to every client. */
  cutAll(): void;
  token(user: string, expiresInMs?: number): string;
  revoke(user: string, reason: RevocationReason): void;
  /** A socket, not yet initialised. */
  open(options?: { protocol?: string | null; origin?: string; path?: string }): Client;
  /** A socket whose connection_init was acknowledged. */
  connect(user?: string): Promise<Client>;
  /** A subscription (or what else) over HTTP, as `ada` unless said otherwise. */
  stream(accept: string, query: string, options?: StreamOptions): Promise<Stream>;
  /** Replaces the supergraph by one that is composed of SDL files with this change. */
  swap(change: (sdl: { task: string; user: string }) => { task: string; user: string }): Promise<void>;
}

type SocketConfig = SubscriptionSocketOptions['config'];
type WorldOptions = Partial<Omit<SocketConfig, 'sockets'>> & {
  sockets?: Partial<SocketConfig['sockets']>;
  /** The router hears the subgraph `task` without a socket. */
  isTaskLocal?: boolean;
};

export async function aWorld({
  sockets: limits,
  isTaskLocal,
  ...options
}: WorldOptions = {}): Promise<World> {
  const events = new EventLog();
  const userCalls: string[] = [];
  const taskOn = (port: number) => aSubgraph('task', TASK_SDL, taskResolvers(events), port);
  let task = await taskOn(0);
  const taskPort = Number(new URL(task.url).port);
  const user = await aSubgraph('user', USER_SDL, USER_RESOLVERS, 0, userCalls);
  const ring = parseKeyRing(CONTEXT_KEY);
  const { origins = ['https://allowed.test'] } = options;
  const config = {
    ...readRouterConfig(COSTS_OFF),
    keyRings: { task: ring, user: ring },
    corsOrigins: origins,
  };
  const calling = createCalling({ config, log });
  const load = (sdl: string) =>
    loadSupergraph({
      sdl,
      subgraphUrls: { task: `${task.url}/graphql`, user: `${user.url}/graphql` },
      plansMax: 100,
      call: calling.call,
      log,
    });
  let supergraph = await load(supergraphSdl());
  const local: LocalSubgraph = {
    call: (call) => task.call(call),
    subscribe: (payload, listener) => task.subscribe(payload, listener),
  };
  const swaps = new Set<(next: LoadedSupergraph, previous: LoadedSupergraph) => void>();
  const revoked = new Map<string, RevocationReason>();
  const listeners = new Set<(orgId: string) => void>();
  const isAnonymous = options.isAnonymousAllowed === true;
  const pipeline = createPipeline({
    config,
    supergraph: { current: () => supergraph },
    tokens: isAnonymous ? null : { verify: async (text) => verified(text, revoked) },
    log,
  });
  const sockets = createSubscriptionSocket({
    pipeline,
    epochs: calling.epochs,
    ...(isTaskLocal ? { localSubgraphs: new Map([['task', local]]) } : {}),
    supergraph: {
      onSwap(listener) {
        swaps.add(listener);
        return () => swaps.delete(listener);
      },
    },
    revocation: {
      check: ({ viewer }) => revoked.get(viewer.userId) ?? null,
      onRevoked(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    log,
    config: { origins, drainMs: 500, ...options, sockets: { ...config.sockets, ...limits } },
  });
  const server = createServer((request, response) => {
    const deps = { pipeline, streams: sockets };
    void answerTo(exchangeOf(request, 0), response, deps).then((answer) => {
      if (!answer) return;
      answered.push(answer.status);
      void send(request, response, answer, false);
    });
  });
  server.on('upgrade', (request, socket, head) => sockets.handleUpgrade(request, socket, head));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`;
  const answered: number[] = [];
  const clients = new Set<Client>();
  const streams = new Set<Stream>();
  onTestFinished(async () => {
    for (const client of clients) client.socket.terminate();
    for (const stream of streams) stream.cut();
    await sockets.stop();
    server.closeAllConnections();
    server.close();
    await Promise.all([task.stop(), user.stop(), calling.close()]);
  });

  const world: World = {
    url,
    log: events,
    userCalls,
    sockets,
    user,
    local,
    task: {
      stop: () => task.stop(),
      async start() {
        task = await taskOn(taskPort);
      },
    },
    answered,
    cutAll: () => server.closeAllConnections(),
    token: (name, expiresInMs = 60_000) => `Bearer ${name}.${Date.now() + expiresInMs}`,
    async swap(change) {
      const previous = supergraph;
      supergraph = await load(supergraphSdl(change(SDL)));
      for (const listener of [...swaps]) listener(supergraph, previous);
    },
    revoke(name, reason) {
      revoked.set(name, reason);
      for (const listener of listeners) listener('org1');
    },
    open(how = {}) {
      const client = new Client(how.path ? url.replace('/graphql', how.path) : url, how);
      clients.add(client);
      return client;
    },
    async connect(name = 'ada') {
      const client = world.open();
      await client.init({ authorization: world.token(name) });
      return client;
    },
    async stream(accept, query, how = {}) {
      const { user = 'ada' } = how;
      const authorization = user ? { authorization: world.token(user) } : {};
      const stream = await openStream(url.replace('ws:', 'http:'), accept, query, {
        ...authorization,
        ...how,
      });
      streams.add(stream);
      return stream;
    },
  };
  return world;
}

export interface StreamOptions {
  readonly user?: string;
  readonly variables?: object;
  readonly headers?: Record<string, string>;
  readonly method?: 'GET' | 'POST';
}

/** The bytes of one HTTP response, read as they come or not at all: what is not asked for waits in the connection. */
export class Stream {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  text = '';
  private readonly response: IncomingMessage;

  constructor(response: IncomingMessage) {
    this.status = response.statusCode ?? 0;
    this.headers = response.headers;
    this.response = response.setEncoding('utf8');
    response.on('error', () => {});
  }

  /** Reads until `condition` holds of everything that was read. */
  async read(condition: (text: string) => boolean, what: string): Promise<string> {
    const deadline = Date.now() + DEADLINE_MS;
    while (!condition(this.text)) {
      const piece = this.response.read() as string | null;
      if (piece !== null) this.text += piece;
      else if (this.response.readableEnded || this.response.destroyed)
        throw new Error(`the stream is over, without ${what}: ${this.text}`);
      else if (Date.now() > deadline) throw new Error(`waited for ${what}, got ${this.text}`);
      else await new Promise((resolve) => setTimeout(resolve, 2));
    }
    return this.text;
  }

  /** The next part that is there whole, whichever way it is written; null when the stream is over without one. */
  async nextPart(): Promise<string | null> {
    const boundary = this.headers['content-type']?.startsWith('multipart') ? '\r\n--graphql' : '\n\n';
    const isOver = () => this.response.readableEnded || this.response.destroyed;
    for (;;) {
      const at = this.text.indexOf(boundary);
      if (at !== -1) {
        const part = this.text.slice(0, at);
        this.text = this.text.slice(at + boundary.length);
        return part;
      }
      const piece = this.response.read() as string | null;
      if (piece !== null) this.text += piece;
      else if (isOver()) return null;
      else await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** Everything up to its end. */
  async end(): Promise<string> {
    const pieces = [this.text];
    for await (const piece of this.response) pieces.push(piece as string);
    this.text = pieces.join('');
    return this.text;
  }

  /** As a lost network or a closed page does. */
  cut(): void {
    this.response.destroy();
  }
}

async function openStream(
  url: string,
  accept: string,
  query: string,
  options: StreamOptions & { authorization?: string },
) {
  const { variables = {}, method = 'POST', authorization } = options;
  const search = new URLSearchParams({ query, variables: JSON.stringify(variables) });
  const request = httpRequest(method === 'GET' ? `${url}?${search}` : url, {
    method,
    agent: false,
    headers: {
      accept,
      ...(method === 'POST' ? { 'content-type': 'application/json' } : {}),
      ...(authorization ? { authorization } : {}),
      ...options.headers,
    },
  });
  request.end(method === 'POST' ? JSON.stringify({ query, variables }) : '');
  const [response] = (await within(once(request, 'response'), 'a response')) as [IncomingMessage];
  request.on('error', () => {});
  return new Stream(response);
}

/** A stand-in for the token verifier, whose own tests are elsewhere: `Bearer <user>.<expiry>`. */
function verified(text: string | undefined, revoked: Map<string, RevocationReason>): AccessToken | null {
  if (text === undefined) return null;
  const [, name, expiry] = /^Bearer (\w+)\.(\d+)$/.exec(text) ?? [];
  if (!name || name === 'mallory') throw new Refusal('UNAUTHENTICATED', 'no', { status: 401 });
  const expiresAt = Number(expiry);
  if (expiresAt <= Date.now()) throw new Refusal('TOKEN_EXPIRED', 'no', { status: 401 });
  const reason = revoked.get(name);
  if (reason) throw new Refusal(reason, 'no', { status: 401 });
  const role = name.startsWith('boss') ? 'ORG_ADMIN' : 'MEMBER';
  const scopes = name.startsWith('bossKey') ? { scopes: ['READ'] as const } : {};
  const orgId = name.endsWith('Elsewhere') ? 'org2' : 'org1';
  const viewer: Viewer = { orgId, userId: name, role, sessionId: `s-${name}`, ...scopes };
  return { viewer, caller: { scopes: new Set(), claims: {}, expiresAt }, epoch: 1, expiresAt, plan: null };
}

function taskResolvers(events: EventLog) {
  let pokes = 0;
  return {
    Query: {
      async ping(_: unknown, { delayMs }: { delayMs?: number }) {
        if (delayMs) await new Promise((resolve) => setTimeout(resolve, delayMs));
        return 'pong';
      },
    },
    Mutation: { poke: () => ++pokes },
    Subscription: {
      taskEvents: {
        subscribe(_: unknown, args: { after?: string; refuse?: string }, context: RequestContext) {
          if (!context.viewer && context.reader && !events.knowsGroups)
            throw new DomainError('UNAUTHENTICATED', 'Who are you?');
          const code = events.outages-- > 0 ? 'SUBGRAPH_UNAVAILABLE' : args.refuse;
          if (code === 'SUBGRAPH_UNAVAILABLE') throw new DomainError(code, 'Later.', { retryable: true });
          if (code) throw new GraphQLError('No.', { extensions: { code } });
          return events.stream(context, args.after ?? null);
        },
      },
    },
  };
}

const USER_RESOLVERS = {
  Query: {
    me: (_: unknown, _args: unknown, { viewer }: RequestContext) => ({ id: viewer?.userId, name: 'Me' }),
  },
  User: {
    __resolveReference: ({ id }: { id: string }) => ({ id, name: `Name of ${id}`, label: 'Label' }),
    isViewer: ({ id }: { id: string }, _args: unknown, { viewer }: RequestContext) => id === viewer?.userId,
  },
};

async function aSubgraph(
  name: string,
  typeDefs: string,
  resolvers: object,
  port: number,
  calls: string[] = [],
): Promise<GraphqlService> {
  const service = createGraphqlService({
    name,
    host: '127.0.0.1',
    port,
    typeDefs: parse(typeDefs),
    resolvers,
    contextRing: parseKeyRing(CONTEXT_KEY),
    allowUnsigned: true,
    log,
    context: () => ({}),
    probes: {},
    anonymousFields: ['ping', 'taskEvents'],
    observe: { onRequest: ({ query }) => void calls.push(query) },
  });
  await service.start();
  return service;
}

function supergraphSdl({ task, user }: { task: string; user: string } = SDL): string {
  const composed = composeServices([
    { name: 'task', typeDefs: parse(task), url: 'http://127.0.0.1:1/graphql' },
    { name: 'user', typeDefs: parse(user), url: 'http://127.0.0.1:2/graphql' },
  ]);
  if (!composed.supergraphSdl) throw new AggregateError(composed.errors ?? [], 'composition failed');
  return composed.supergraphSdl;
}

/** Long enough for a busy machine; a test that reaches it has failed. */
const DEADLINE_MS = 10_000;

interface Frame {
  readonly id?: string;
  readonly type: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever the selection was
  readonly payload?: any;
}

/** A raw graphql-transport-ws client: nothing is hidden, every frame is kept from the first. */
export class Client {
  readonly socket: WebSocket;
  readonly closed: Promise<{ code: number; reason: string }>;
  private readonly frames: Frame[] = [];
  private wake = () => {};

  constructor(
    url: string,
    { protocol = 'graphql-transport-ws', origin }: { protocol?: string | null; origin?: string },
  ) {
    this.socket = new WebSocket(
      url,
      protocol === null ? [] : [protocol],
      origin === undefined ? {} : { origin },
    );
    this.socket.on('message', (bytes) => {
      this.frames.push(JSON.parse(String(bytes)));
      this.wake();
    });
    this.closed = new Promise((resolve, reject) => {
      this.socket.on('close', (code, reason) => resolve({ code, reason: String(reason) }));
      this.socket.on('unexpected-response', (_request, response) => {
        reject(new Error(`HTTP ${response.statusCode}`));
        this.socket.terminate();
      });
      this.socket.on('error', () => {});
    });
    this.closed.catch(() => {});
  }

  async opened(): Promise<this> {
    if (this.socket.readyState !== WebSocket.OPEN) {
      await within(new Promise((resolve) => this.socket.once('open', resolve)), 'the socket to open');
    }
    return this;
  }

  async send(message: object | string | Buffer): Promise<void> {
    await this.opened();
    const isRaw = typeof message === 'string' || Buffer.isBuffer(message);
    this.socket.send(isRaw ? message : JSON.stringify(message));
  }

  async init(payload?: object): Promise<void> {
    await this.send({ type: 'connection_init', ...(payload ? { payload } : {}) });
    await this.next('connection_ack');
  }

  async subscribe(id: string, query: string, variables: object = {}): Promise<void> {
    await this.send({ id, type: 'subscribe', payload: { query, variables } });
  }

  /** The next frame; it must be of this type. */
  async next(type = 'next'): Promise<Frame> {
    const frame = await within(this.shift(), `a frame ${type}`);
    if (frame.type !== type) throw new Error(`expected ${type}, got ${JSON.stringify(frame)}`);
    return frame;
  }

  /** Frames that have arrived and nobody asked for. */
  get waiting(): readonly Frame[] {
    return this.frames;
  }

  private async shift(): Promise<Frame> {
    for (;;) {
      const frame = this.frames.shift();
      if (frame) return frame;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }
}

export async function within<T>(work: Promise<T>, what: string, ms = DEADLINE_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms for ${what}`)), ms);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** Waits until `condition` holds. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited ${DEADLINE_MS} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
