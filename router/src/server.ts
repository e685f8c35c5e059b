// The composition root of the router: builds every part, serves HTTP and WebSocket on one port, stops in order.
//
//   serving ◀─▶ drained: readiness 503, everything else as before (an operator's signal or file)
//   serving ─▶ stopping: readiness 503 → (drainDelayMs) → no new connections, `connection: close` on answers
//              → sockets told to come back elsewhere → requests in flight, ≤ 10 s → connections to subgraphs, Redis

import { existsSync } from 'node:fs';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ApolloServerPlugin } from '@apollo/server';
import { createLive, type Live } from '@taskflow/kit/live';
import { createLog, type Log } from '@taskflow/kit/log';
import { createRedis, type RedisConnections } from '@taskflow/kit/redis';
import { scalars } from '@taskflow/kit/scalars';
import { listen } from '@taskflow/kit/service-wire';
import { Agent } from 'undici';
import { createApiKeys } from './api-keys.ts';
import type { StandardContext } from './apollo-server.ts';
import { createCallerVerifier } from './callers.ts';
import { type CallCounter, createCallCounter } from './calls.ts';
import type { RouterConfig } from './config.ts';
import { type Buckets, createBuckets } from './cost/buckets.ts';
import { leave } from './exchange.ts';
import { type Calling, createCalling } from './gateway/calling.ts';
import { createDocuments } from './gateway/documents.ts';
import type { LocalSubgraphs } from './gateway/local-transport.ts';
import { createPersistedDocuments } from './gateway/persisted-documents.ts';
import { createSupergraph, type Supergraph } from './gateway/supergraph.ts';
import { createFileSource, createUrlSource } from './gateway/supergraph-source.ts';
import { createTrustedDocuments, type TrustedDocuments } from './gateway/trusted-documents.ts';
import { createValidation } from './gateway/validation.ts';
import { createAnswerCheck, planHottest } from './gateway/warm-up.ts';
import { createRouterHealth, type RouterHealth } from './health.ts';
import { answerTo, clientAddressOf, exchangeOf, send, targetOf } from './http.ts';
import { createRouterServer } from './http-server.ts';
import { createKeySet, type KeySet } from './key-set.ts';
import { createLanding, type DemoPeople, type Landing } from './landing/landing.ts';
import { cookiesOf, createPipeline, GRAPHQL_PATH, type Pipeline } from './pipeline.ts';
import type { PolicyHook } from './policies.ts';
import { createNoRevocation, createRevocation, type Revocation } from './revocation.ts';
import { securityHeadersOf } from './stages/security-headers.ts';
import { createStandardPath, PAGE_POLICY, type StandardPath } from './standard-path.ts';
import {
  createSubscriptionSocket,
  type SubscriptionSocket,
  type SubscriptionStatus,
} from './subscriptions/socket.ts';
import { createTokenVerifier, type TokenVerifier } from './tokens.ts';

export interface Router {
  /** `http://127.0.0.1:4000`, without a path; known once `start` has resolved. */
  readonly url: string;
  readonly port: number;
  readonly supergraph: Supergraph;
  /**
   * Makes the readiness check say 503 while everything is answered as before, and back: an operator takes this replica out
   * of the balancer, or gives it back. True: it is out now.
   */
  toggleDrained(): boolean;
  /** Loads the supergraph and listens; subgraphs and Redis may come later. Once per router. */
  start(): Promise<void>;
  /** Ordered and bounded; safe to call twice, and without `start`. */
  stop(): Promise<void>;
}

export interface RouterDeps {
  log?: Log;
  /** Put in front of every Redis key and channel. */
  redisPrefix?: string;
  /** Decides what a supergraph's `@policy` directives ask; without it no policy is granted. */
  policies?: PolicyHook;
  /** Whom a visitor of the development page may sign in as. */
  demo?: DemoPeople;
  /** Subgraphs of this process, by name: called without HTTP. */
  localSubgraphs?: LocalSubgraphs;
  /** Of Apollo Server. With any, every HTTP request takes the standard path, so that they see all. */
  plugins?: readonly ApolloServerPlugin<StandardContext>[];
}

const DRAIN_DEADLINE_MS = 10_000;
/** Below the 65 s at which the user service closes an idle connection. */
const KEEP_ALIVE_MS = 30_000;

interface Parts {
  log: Log;
  dispatcher: Agent;
  calling: Calling;
  redis: RedisConnections | null;
  live: Live | null;
  /** Absent without accounts, and without Redis. */
  calls: CallCounter | null;
  buckets: Buckets;
  /** Null: there is no manifest. */
  trusted: TrustedDocuments | null;
  revocation: Revocation;
  /** Null: nobody is authenticated, nor a caller. */
  keySet: KeySet | null;
  supergraph: Supergraph;
  pipeline: Pipeline;
  standardPath: StandardPath;
  health: RouterHealth;
  sockets: SubscriptionSocket;
  /** In development only. */
  landing: Landing | null;
}

/** Builds a router. Nothing listens before `start`. */
export function createRouter(config: RouterConfig, deps: RouterDeps = {}): Router {
  const parts = buildParts(config, deps);
  const { log, supergraph, sockets } = parts;
  const inFlight = new Set<ServerResponse>();
  let phase: 'serving' | 'stopping' = 'serving';
  let stopping: Promise<void> | null = null;
  let port = config.port;

  const server = createRouterServer(config.connections);
  const security = securityHeadersOf(config);
  let isDrained = false;
  server.on('request', (request, response) => {
    inFlight.add(response);
    response.once('close', () => inFlight.delete(response));
    serve(request, response).catch((error) => {
      log.error({ err: error }, 'a request could not be answered');
      response.destroy();
    });
  });
  server.on('upgrade', (request, socket, head) => sockets.handleUpgrade(request, socket, head));

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, search } = targetOf(request);
    const isGraphql = pathname === GRAPHQL_PATH || pathname === `${GRAPHQL_PATH}/`;
    const isPage = request.method === 'GET' && (!isGraphql || isBrowsing(request, search));
    const page = isPage ? await pageOf(pathname, request) : null;
    if (page) {
      if (phase === 'stopping') response.setHeader('connection', 'close');
      response.writeHead(page.status, { ...security, ...page.headers }).end(page.body);
    } else if (isGraphql) {
      const exchange = exchangeOf(request, config.proxyHops);
      response.once('close', () => {
        if (!response.writableFinished) leave(exchange);
      });
      const answer = await answerTo(exchange, response, { ...parts, streams: sockets });
      if (answer) await send(request, response, answer, phase === 'stopping');
    } else {
      await send(request, response, { ...NOT_FOUND, headers: security }, phase === 'stopping');
    }
  }

  async function pageOf(pathname: string, request: IncomingMessage) {
    if (pathname === '/health/live') return jsonPage(200, { status: 'live' });
    if (pathname === '/health') {
      const report = { ...(await parts.health.report()), subscriptions: countsOf(sockets.status()) };
      return jsonPage(200, config.healthDetails ? report : { status: report.status });
    }
    if (pathname === '/health/ready') {
      const isOut = isDrained || (config.drainFile !== null && existsSync(config.drainFile));
      const readiness = await parts.health.readiness(phase === 'serving' && isOut ? 'drained' : phase);
      const told = config.healthDetails ? readiness : { ready: readiness.ready };
      return jsonPage(readiness.ready ? 200 : 503, told);
    }
    const page = await parts.landing?.page(request);
    // Its workers load parts of their own, which the policy of an answer would forbid them.
    return page ? { ...page, headers: { 'content-security-policy': PAGE_POLICY, ...page.headers } } : null;
  }

  function toggleDrained(): boolean {
    isDrained = !isDrained;
    log.info({ isDrained }, isDrained ? 'taken out of the balancer' : 'given back to the balancer');
    return isDrained;
  }

  async function stopOnce(): Promise<void> {
    phase = 'stopping';
    if (server.listening) {
      if (config.drainDelayMs > 0) await new Promise((resolve) => setTimeout(resolve, config.drainDelayMs));
      await drain(server, inFlight, sockets, log);
    } else await sockets.stop();
    await parts.standardPath.stop();
    supergraph.stop();
    parts.trusted?.stop();
    parts.revocation.stop();
    parts.keySet?.stop();
    await parts.calls?.stop();
    await parts.buckets.stop();
    await parts.live?.close();
    await parts.redis?.close();
    await parts.calling.close();
    await parts.dispatcher.destroy();
    log.info('router has stopped');
  }

  return {
    get url() {
      return `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${port}`;
    },
    get port() {
      return port;
    },
    supergraph,
    toggleDrained,
    async start() {
      try {
        await supergraph.start();
        await parts.trusted?.start();
        await parts.standardPath.start();
        await listen(server, { name: 'router', host: config.host, port: config.port });
      } catch (error) {
        await this.stop();
        throw error;
      }
      port = (server.address() as AddressInfo).port;
      parts.revocation.start();
      parts.keySet?.start();
      parts.calls?.start();
      parts.buckets.start();
      log.info({ url: this.url }, 'router is serving');
    },
    stop() {
      stopping ??= stopOnce();
      return stopping;
    },
  };
}

function buildParts(config: RouterConfig, deps: RouterDeps): Parts {
  const log = deps.log ?? createLog({ process: 'router', level: config.logLevel });
  const dispatcher = new Agent({
    connections: config.subgraphConnectionsMax,
    keepAliveTimeout: KEEP_ALIVE_MS,
  });
  const documents = createDocuments();
  const validation = createValidation(config.introspection);
  const { redisUrl, subgraphUrls } = config;
  const redis = redisUrl ? createRedis({ url: redisUrl, prefix: deps.redisPrefix ?? '', log }) : null;
  const live = redis ? createLive(redis, log) : null;
  const calling = createCalling({ config, local: deps.localSubgraphs, redis, live, log });
  const supergraph = createSupergraph({
    ...sourceOf(config, dispatcher, log),
    answers: createAnswerCheck(dispatcher),
    warmUp(next) {
      calling.cache?.prepare(next);
      return planHottest(documents, next, validation);
    },
    subgraphUrls: config.subgraphUrls,
    plansMax: config.plansMax,
    // A supergraph of somebody else's has meanings of its own for these names.
    scalars: config.keyRings ? Object.values(scalars) : [],
    call: calling.call,
    log,
  });
  const revocation = redis && live ? createRevocation({ redis, channels: live, log }) : createNoRevocation();
  const foreignKeys = config.callers
    ? createKeySet({ url: config.callers.jwksUrl, keyTypes: 'any', dispatcher, log })
    : null;
  const callers =
    config.callers && foreignKeys
      ? createCallerVerifier({ ...config.callers, keys: foreignKeys, scopesClaim: config.scopesClaim })
      : null;
  const keySet = config.tokens
    ? createKeySet({ url: config.tokens.jwksUrl, keyTypes: 'ES256', dispatcher, log })
    : null;
  const tokens = keySet && tokensOf(config, keySet, { dispatcher, revocation, log });
  const calls = redis && tokens ? createCallCounter({ redis, log }) : null;
  const buckets = createBuckets({ redis, log });
  const { introspection, persistedBytesMax } = config;
  const trusted = trustedOf(config, log);
  const hashed = createPersistedDocuments({ bytesMax: persistedBytesMax, redis, log });
  const persisted = trusted
    ? { ...hashed, find: (hash: string) => trusted.find(hash) ?? hashed.find(hash) }
    : hashed;
  const plugins = deps.plugins ?? [];
  const standardPath = createStandardPath({ supergraph, persisted, plugins, introspection, log });
  const pipeline = createPipeline({
    ...{ config, supergraph, documents, tokens, callers, redis, buckets, log },
    ...{ trusted, persisted, standardPath },
    calls: calls ?? undefined,
    operations: calling.operations,
    policies: deps.policies,
  });
  const sockets = createSubscriptionSocket({
    pipeline,
    revocation,
    epochs: calling.epochs,
    supergraph,
    localSubgraphs: deps.localSubgraphs,
    log,
    addressOf: (request) => clientAddressOf(request, config.proxyHops),
    config: {
      ...{ origins: config.corsOrigins, isAnonymousAllowed: tokens === null, path: GRAPHQL_PATH },
      cookies: cookiesOf(config),
      sockets: config.sockets,
    },
  });
  const landing = config.landing ? createLanding({ log, demo: deps.demo }) : null;
  const health = createRouterHealth({ supergraph, subgraphUrls, redis, dispatcher, calling, log });
  return {
    log,
    dispatcher,
    calling,
    redis,
    live,
    calls,
    buckets,
    trusted,
    revocation,
    keySet: keySet ?? foreignKeys,
    supergraph,
    pipeline,
    standardPath,
    health,
    sockets,
    landing,
  };
}

function sourceOf(config: RouterConfig, dispatcher: Agent, log: Log) {
  const { supergraphUrl, supergraphFile, supergraphPollMs } = config;
  if (!supergraphUrl) return { source: createFileSource(supergraphFile), pollMs: supergraphPollMs };
  const { url, copyFile, pollMs, timeoutMs } = supergraphUrl;
  return { source: createUrlSource({ url, copyFile, timeoutMs, dispatcher, log }), pollMs };
}

function trustedOf({ trustedDocuments, supergraphPollMs: pollMs }: RouterConfig, log: Log) {
  const { file } = trustedDocuments;
  return file === null ? null : createTrustedDocuments({ file, pollMs, log });
}

function tokensOf(
  { tokens, subgraphUrls, keyRings, subgraphTimeoutMs, scopesClaim }: RouterConfig,
  keys: KeySet,
  { dispatcher, revocation, log }: Pick<Parts, 'dispatcher' | 'revocation' | 'log'>,
): TokenVerifier | null {
  const ring = keyRings?.user;
  if (!tokens || !ring) return null;
  const { issuer, audience } = tokens;
  const url = subgraphUrls.user ?? '';
  const apiKeys = createApiKeys({ url, ring, dispatcher, revocation, timeoutMs: subgraphTimeoutMs, log });
  return createTokenVerifier({ keys, apiKeys, issuer, audience, scopesClaim, revocation });
}

const NOT_FOUND = {
  status: 404,
  headers: {},
  body: {
    errors: [
      { message: `There is nothing here: GraphQL is at ${GRAPHQL_PATH}.`, extensions: { code: 'NOT_FOUND' } },
    ],
  },
};

function jsonPage(status: number, body: unknown) {
  const headers = { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' };
  return { status, headers, body: JSON.stringify(body) };
}

/** Numbers only: who reads them need not know the addresses behind. */
function countsOf({ upstreams, ...counts }: SubscriptionStatus) {
  const upstream = Object.values(upstreams).reduce((sum, { subscriptions }) => sum + subscriptions, 0);
  return { ...counts, upstream };
}

/** Somebody typed the GraphQL address into a browser. */
function isBrowsing({ headers }: IncomingMessage, search: string): boolean {
  return !/[?&]query=/.test(search) && (headers.accept ?? '').includes('text/html');
}

async function drain(
  server: Server,
  inFlight: ReadonlySet<ServerResponse>,
  sockets: SubscriptionSocket,
  log: Log,
): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  const deadline = setTimeout(() => {
    log.warn({ inFlight: inFlight.size }, 'requests were cut at the drain deadline');
    server.closeAllConnections();
  }, DRAIN_DEADLINE_MS);
  await Promise.all([
    sockets.stop(),
    ...[...inFlight].map((response) => new Promise((done) => response.once('close', done))),
  ]);
  clearTimeout(deadline);
  server.closeAllConnections();
  await closed;
}
