/**
 * A router with small real subgraphs behind it: `user` (credentials, key set) and `task`, on the kit's service
 * harness, so that signed contexts are made and verified by the code that runs in production.
 */
import { createHash, generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { composeServices } from '@apollo/composition';
import { parseKeyRing } from '@taskflow/kit/config';
import { DomainError } from '@taskflow/kit/errors';
import type { ContextClaims, Viewer } from '@taskflow/kit/identity';
import { createLog } from '@taskflow/kit/log';
import { createGraphqlService, type GraphqlService, type RequestContext } from '@taskflow/kit/service';
import { COSTS_OFF } from '@taskflow/tests/kit/limits';
import { parse } from 'graphql';
import jsonwebtoken from 'jsonwebtoken';
import { onTestFinished } from 'vitest';
import { type RouterConfig, readRouterConfig } from '../src/config.ts';
import { createRouter, type Router, type RouterDeps } from '../src/server.ts';

export const log = createLog({ process: 'test', level: process.env.LOG_LEVEL ?? 'silent' });

const LINK = `extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@inaccessible", "@key", "@shareable"])`;
const USER_SDL = `${LINK}
  type Query { me: User  health: String  echo(input: EchoInput): String
    apiKeyIdentify(organizationId: ID!, hash: String!): ApiKeyIdentity @inaccessible }
  type ApiKeyIdentity @inaccessible { id: ID!  userId: ID!  role: String!  epoch: Int!  scopes: [String!]!
    requestsPerMinute: Int!  expiresAt: String  plan: String }
  input EchoInput { count: Int! word: String }
  type Mutation { login(name: String!): AuthPayload!  rename(name: String!): String }
  type AuthPayload { success: Boolean!  user: User }
  type User @key(fields: "id") { id: ID!  name: String  seenBy: String  lastTask: Task }
  type Task @key(fields: "id", resolvable: false) { id: ID! }`;
const TASK_SDL = `${LINK}
  type Query { tasks(count: Int!): [Task!]!  slow(ms: Int!): String  broken: String  task: Task  strict: Strict }
  type Mutation { taskTouch(at: DateTime): String }
  scalar DateTime
  type Subscription { ticks: Int }
  type Strict { never: String! }
  type Task @key(fields: "id") { id: ID!  title: String!  assignee: User  creator: User }
  type User @key(fields: "id") { id: ID!  openTaskCount: Int  secretPlan: String }`;

/** One operation that reached a subgraph, with the claims that its signed context proved there. */
export interface ObservedCall {
  subgraph: string;
  query: string;
  claims: ContextClaims;
}

export interface TestSupergraph {
  file: string;
  urls: Record<'user' | 'task', string>;
  services: Record<'user' | 'task', GraphqlService>;
  /** Operations whose context was verified, in the order in which they ran. */
  calls: ObservedCall[];
  /** A signed access token; parts of it may be replaced. */
  tokenFor(viewer: Viewer, parts?: TokenParts): string;
  /** API keys by their secret, as the user service knows them; kept by hash there. */
  apiKeys: Map<string, AnsweredKey>;
  jwksRequests(): number;
  /** Makes another key the signing one; the key set lists both. */
  rotateKeys(): void;
}

/** What the user service answers for a key. */
export interface AnsweredKey {
  id: string;
  userId: string;
  role: string;
  epoch: number;
  scopes: string[];
  requestsPerMinute: number;
  expiresAt: string | null;
  /** A PlanClaim as JSON. */
  plan?: string | null;
}

export interface TokenParts {
  claims?: object;
  header?: object;
  key?: KeyObject | string;
  algorithm?: jsonwebtoken.Algorithm;
}

export function aViewer(parts: Partial<Viewer> = {}): Viewer {
  return { orgId: randomUUID(), userId: randomUUID(), role: 'MEMBER', sessionId: randomUUID(), ...parts };
}

const ringOf = (name: string) => parseKeyRing(`dev:insecure-for-production-${name}-context-key`);

export async function aSupergraph(): Promise<TestSupergraph> {
  const calls: ObservedCall[] = [];
  const keys = [aKey()];
  const apiKeys = new Map<string, AnsweredKey>();
  let jwksRequests = 0;
  const jwks = () => {
    jwksRequests++;
    return { body: { keys: keys.map(({ jwk }) => jwk) } };
  };
  const services = {
    user: serviceOf('user', USER_SDL, userResolvers(apiKeys), calls, { '/.well-known/jwks.json': jwks }),
    task: serviceOf('task', TASK_SDL, taskResolvers(), calls),
  };
  await Promise.all(Object.values(services).map((service) => service.start()));
  onTestFinished(async () => {
    await Promise.all(Object.values(services).map((service) => service.stop()));
  });
  const urls = { user: `${services.user.url}/graphql`, task: `${services.task.url}/graphql` };
  const file = await writeSupergraph([
    { name: 'user', url: urls.user, sdl: USER_SDL },
    { name: 'task', url: urls.task, sdl: TASK_SDL },
  ]);
  return {
    file,
    urls,
    services,
    calls,
    apiKeys,
    jwksRequests: () => jwksRequests,
    rotateKeys: () => keys.unshift(aKey()),
    tokenFor: (viewer, parts) => tokenOf(viewer, keys[0], parts),
  };
}

/** Composes and writes a supergraph file into a folder that goes with the test. */
export async function writeSupergraph(
  subgraphs: readonly { name: string; url: string; sdl: string }[],
): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'taskflow-router-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const file = join(dir, 'supergraph.graphql');
  await writeFile(file, composed(subgraphs));
  return file;
}

export function composed(subgraphs: readonly { name: string; url: string; sdl: string }[]): string {
  const result = composeServices(
    subgraphs.map(({ name, url, sdl }) => ({ name, url, typeDefs: parse(sdl) })),
  );
  if (result.errors) throw new Error(result.errors.map(({ message }) => message).join('\n'));
  return result.supergraphSdl;
}

/** A started router over the supergraph. Without Redis, unless the config names one. */
export async function aRouter(
  supergraph: Pick<TestSupergraph, 'file' | 'urls'>,
  change: (config: RouterConfig) => RouterConfig = (config) => config,
  deps: RouterDeps = {},
): Promise<Router> {
  const config = readRouterConfig({
    ...COSTS_OFF,
    ROUTER_PORT: '0',
    ROUTER_SUPERGRAPH_FILE: supergraph.file,
    ROUTER_SUPERGRAPH_POLL_MS: '0',
    ROUTER_USER_URL: supergraph.urls.user,
    ROUTER_TASK_URL: supergraph.urls.task,
    ROUTER_JWKS_URL: supergraph.urls.user.replace('/graphql', '/.well-known/jwks.json'),
  });
  const { user = '', task = '' } = config.subgraphUrls;
  const router = createRouter(change({ ...config, subgraphUrls: { user, task }, redisUrl: null }), {
    log,
    ...deps,
  });
  await router.start();
  onTestFinished(() => router.stop());
  return router;
}

export interface Answered {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever shape it asked for
  body: any;
  text: string;
}

/** POST of one operation. `init` replaces parts of the request. */
export async function ask(
  router: Router,
  query: string,
  options: { token?: string; variables?: object; headers?: Record<string, string> } = {},
): Promise<Answered> {
  const { token, variables, headers } = options;
  return send(router, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(token ? { authorization: `Bearer ${token}` } : {}),
      ...headers,
    },
    body: JSON.stringify({ query, variables }),
  });
}

export async function send(router: Router, init: RequestInit, path = '/graphql'): Promise<Answered> {
  const response = await fetch(`${router.url}${path}`, init);
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json');
  return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : null };
}

/** Codes of an answer's errors, in their order. */
export function codesOf({ body }: Answered): string[] {
  return (body?.errors ?? []).map((error: { extensions?: { code?: string } }) => error.extensions?.code);
}

function serviceOf(
  name: string,
  typeDefs: string,
  resolvers: object,
  calls: ObservedCall[],
  routes: Record<string, () => { body: unknown }> = {},
): GraphqlService {
  let seen: ContextClaims;
  return createGraphqlService({
    name,
    host: '127.0.0.1',
    port: 0,
    typeDefs,
    resolvers,
    contextRing: ringOf(name),
    allowUnsigned: false,
    log,
    context: (claims) => {
      seen = claims;
      return {};
    },
    probes: {},
    routes,
    anonymousFields: ['login', 'health', 'apiKeyIdentify'],
    observe: { onRequest: ({ query }) => calls.push({ subgraph: name, query, claims: seen }) },
  });
}

export const GRACE = aViewer({ userId: 'grace' });

function userResolvers(apiKeys: ReadonlyMap<string, AnsweredKey>): object {
  let asked = 0;
  return {
    Query: {
      me: (_: unknown, _args: unknown, { viewer }: RequestContext) => ({ id: viewer?.userId }),
      health: () => 'fine',
      apiKeyIdentify: (_: unknown, { hash }: { hash: string }) =>
        [...apiKeys].find(([text]) => createHash('sha256').update(text).digest('base64url') === hash)?.[1],
      echo: (_: unknown, { input }: { input: unknown }) => JSON.stringify(input),
    },
    Mutation: {
      login(_: unknown, _args: unknown, context: RequestContext) {
        context.establish(GRACE);
        return { success: true, user: { id: GRACE.userId } };
      },
      rename: (_: unknown, { name }: { name: string }) => name,
    },
    User: {
      __resolveReference: ({ id }: { id: string }) => ({ id }),
      name: ({ id }: { id: string }) => `name of ${id}`,
      /** Whoever asks, and a number that is different each time. */
      seenBy: (_: unknown, _args: unknown, { viewer }: RequestContext) =>
        `${viewer?.orgId} ${viewer?.userId} ${++asked}`,
      lastTask: () => ({ id: 'gone' }),
    },
  };
}

function taskResolvers(): object {
  const task = (n: number) => ({
    id: `t${n}`,
    title: `Task ${n}`,
    assignee: { id: `u${n % 7}` },
    creator: { id: 'u0' },
  });
  return {
    Query: {
      tasks: (_: unknown, { count }: { count: number }) =>
        Array.from({ length: count }, (_unused, n) => task(n)),
      slow: (_: unknown, { ms }: { ms: number }) => new Promise((resolve) => setTimeout(resolve, ms, 'late')),
      broken: () => {
        throw new Error('select * from tasks failed at 10.0.0.7');
      },
      task: () => {
        throw new DomainError('BAD_USER_INPUT', 'The cursor belongs to another list.');
      },
      strict: () => ({ never: null }),
    },
    Mutation: { taskTouch: (_: unknown, _args: unknown, { viewer }: RequestContext) => viewer?.userId },
    Subscription: { ticks: { subscribe: async function* () {} } },
    User: { __resolveReference: ({ id }: { id: string }) => ({ id }), openTaskCount: () => 3 },
  };
}

interface Key {
  kid: string;
  privateKey: KeyObject;
  jwk: object;
}

function aKey(): Key {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const kid = randomUUID();
  return { kid, privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' } };
}

function tokenOf(viewer: Viewer, key: Key | undefined, parts: TokenParts = {}): string {
  if (!key) throw new Error('there is no key');
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: 'taskflow',
    aud: 'taskflow-api',
    sub: viewer.userId,
    org_id: viewer.orgId,
    role: viewer.role,
    sid: viewer.sessionId,
    ep: 1,
    iat: now,
    exp: now + 600,
    ...parts.claims,
  };
  const algorithm = parts.algorithm ?? 'ES256';
  return jsonwebtoken.sign(JSON.stringify(claims), parts.key ?? key.privateKey, {
    algorithm,
    header: { alg: algorithm, typ: 'at+jwt', kid: key.kid, ...parts.header },
  });
}
