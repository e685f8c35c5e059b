/** The router's environment, and the one place that reads it. */
import {
  type Config,
  ConfigError,
  choice,
  flag,
  int,
  keyRing,
  parseKeyRing,
  port,
  readConfig,
  sharedVariables,
  text,
  url,
} from '@taskflow/kit/config';
import type { KeyRing } from '@taskflow/kit/identity';
import type { CookieMode } from './cookies.ts';
import type { BucketLimit } from './cost/buckets.ts';
import type { ConnectionLimits } from './http-server.ts';
import type { AccessMode } from './stages/access-directives.ts';
import type { Admission } from './stages/admit.ts';
import type { BodyLimits } from './stages/body-limits.ts';
import type { CostLimits } from './stages/cost-charge.ts';
import type { OperationLimits } from './stages/operation-limits.ts';
import type { TrustMode } from './stages/trusted-documents.ts';
import type { SocketLimits } from './subscriptions/socket.ts';

export const SUBGRAPHS = ['user', 'org', 'task', 'notification'] as const;

const httpUrl = (developmentDefault: string) => url(developmentDefault, { protocols: ['http', 'https'] });
const contextKey = (name: string) =>
  keyRing(`dev:insecure-for-production-${name}-context-key`).describe(
    `Signs the context of calls to the subgraph ${name}: "<key id>:<secret>", two comma-separated while rotating; the first signs.`,
  );

export const variables = {
  ...sharedVariables,
  ROUTER_HOST: text('127.0.0.1').describe('Address to listen on.'),
  ROUTER_PORT: port(4000).describe('Port to listen on; 0 takes a free one. PORT is read when it is absent.'),
  ROUTER_SUPERGRAPH_FILE: text('schema/supergraph.graphql').describe('The composed supergraph to serve.'),
  ROUTER_SUPERGRAPH_URL: text('').describe(
    'Address of the composed supergraph, asked with the ETag of its last answer; in place of the file.',
  ),
  ROUTER_SUPERGRAPH_URL_POLL_MS: int(10_000).describe('How often that address is asked; 0 = only at start.'),
  ROUTER_SUPERGRAPH_URL_TIMEOUT_MS: int(10_000, { min: 1 }).describe('Longest wait for that address.'),
  ROUTER_SUPERGRAPH_COPY: text('').describe(
    'File that keeps the last good supergraph of that address, for a start while it does not answer; empty: none.',
  ),
  ROUTER_SUPERGRAPH_POLL_MS: int(1_000).describe(
    'How often the supergraph file is looked at; 0 = only at start.',
  ),
  ROUTER_USER_URL: httpUrl('http://127.0.0.1:4001/graphql').describe('GraphQL address of the subgraph user.'),
  ROUTER_ORG_URL: httpUrl('http://127.0.0.1:4002/graphql').describe('GraphQL address of the subgraph org.'),
  ROUTER_TASK_URL: httpUrl('http://127.0.0.1:4003/graphql').describe('GraphQL address of the subgraph task.'),
  ROUTER_NOTIFICATION_URL: httpUrl('http://127.0.0.1:4004/graphql').describe(
    'GraphQL address of the subgraph notification.',
  ),
  ROUTER_JWKS_URL: httpUrl('http://127.0.0.1:4001/.well-known/jwks.json').describe(
    'Public keys of access tokens. Without accounts (ROUTER_ANONYMOUS), where it has no default: those of the issuer whose tokens open what the supergraph file protects by @authenticated and @requiresScopes.',
  ),
  USER_TOKEN_ISSUER: text('taskflow').describe('Issuer that access tokens must name.'),
  USER_TOKEN_AUDIENCE: text('taskflow-api').describe('Audience that access tokens must name.'),
  ROUTER_SCOPES_CLAIM: text('scope').describe(
    'Claim of access tokens that holds the scopes which @requiresScopes asks for: words in one text, or a list.',
  ),
  ROUTER_ACCESS_MODE: choice(['filter', 'reject'], 'filter').describe(
    'What becomes of an operation with fields that @authenticated, @requiresScopes or @policy keep from its caller; filter: they are null, reject: all of it is refused.',
  ),
  USER_CONTEXT_KEY: contextKey('user'),
  ORG_CONTEXT_KEY: contextKey('org'),
  TASK_CONTEXT_KEY: contextKey('task'),
  NOTIFICATION_CONTEXT_KEY: contextKey('notification'),
  ROUTER_CACHE_BYTES_MAX: int(67_108_864).describe(
    'Answers of subgraphs kept in this process, as @cacheControl of the supergraph file allows; 0 = nothing is kept.',
  ),
  ROUTER_CACHE_MAX_AGE_S: int(3_600, { max: 43_200 }).describe(
    'How long an answer is kept, at most, whatever its hint says.',
  ),
  ROUTER_CACHE_DEFAULT_MAX_AGE_S: int(0).describe(
    'How long answers without a hint are kept, for their caller alone; 0 = they are not.',
  ),
  ROUTER_CACHE_REDIS_TIMEOUT_MS: int(30, { min: 1 }).describe(
    'Longest wait for Redis when something may be kept there; then the subgraph is asked.',
  ),
  ROUTER_CORS_ORIGINS: text('').describe(
    "Origins of pages that may call, comma-separated; a port may be *. Empty: Apollo Sandbox's and localhost in development, none in production.",
  ),
  ROUTER_COOKIES: choice(['off', 'on', 'insecure'], 'off').describe(
    'Tokens as cookies for pages that ask for them with the header taskflow-cookies: true; insecure: without HTTPS, in development.',
  ),
  ROUTER_INTROSPECTION: choice(['auto', 'true', 'false'], 'auto').describe(
    'Whether clients may read the schema; auto: in development only.',
  ),
  ROUTER_HEALTH_DETAILS: choice(['auto', 'true', 'false'], 'auto').describe(
    'Whether /health and /health/ready name the parts of the system and how they are; auto: in development only.',
  ),
  ROUTER_EXPLAIN: choice(['auto', 'true', 'false'], 'auto').describe(
    'Whether the header taskflow-explain: true gets signed-in callers told how their answer came about; auto: in development only.',
  ),
  ROUTER_PROXY_HOPS: int(0, { max: 10 }).describe(
    'Proxies in front of the router whose X-Forwarded-For entries are believed.',
  ),
  ROUTER_SUBGRAPH_TIMEOUT_MS: int(5_000, { min: 1 }).describe('Longest wait for one call to a subgraph.'),
  ROUTER_SUBGRAPH_TIMEOUTS_MS: text('').describe(
    'The same for single subgraphs: "task=2000,notification=1000".',
  ),
  ROUTER_OPERATION_TIMEOUT_MS: int(10_000, { min: 1 }).describe(
    'Longest time for one operation, all its calls together; each subgraph is told what is left.',
  ),
  ROUTER_SUBGRAPH_RETRIES_MAX: int(1, { max: 2 }).describe(
    'Further attempts at a read that failed on its way to a subgraph; 0 = none.',
  ),
  ROUTER_BREAKER_FAILURES_PERCENT: int(50, { max: 100 }).describe(
    'Share of failed calls within five seconds at which a subgraph is left alone for a while; 0 = never.',
  ),
  ROUTER_BREAKER_OPEN_MS: int(5_000, { min: 1 }).describe('For how long, before one call is tried.'),
  ROUTER_DEDUPE: choice(['on', 'off'], 'on').describe(
    'Whether equal reads of one viewer that are under way at the same time are one call to a subgraph.',
  ),
  ROUTER_SUBGRAPH_WAITING_MAX: int(1_000).describe(
    'Calls that may wait for a connection to one subgraph; further ones are refused.',
  ),
  ROUTER_SUBGRAPH_CONNECTIONS_MAX: int(128, { min: 1 }).describe('Connections to each subgraph, at most.'),
  ROUTER_SOCKETS_PER_USER_MAX: int(10, { min: 1 }).describe(
    'WebSockets and HTTP streams that one person (or API key) holds open at this router, at most.',
  ),
  ROUTER_SOCKETS_PER_TENANT_MAX: int(5_000, { min: 1 }).describe(
    'WebSockets and HTTP streams that one organisation holds open at this router, at most.',
  ),
  ROUTER_SOCKETS_PER_S: int(500, { min: 1 }).describe(
    'New WebSockets that are let in per second; the others are told when to come again.',
  ),
  ROUTER_SOCKET_OPERATIONS_MAX: int(50, { min: 1 }).describe(
    'Operations that run on one WebSocket, at most.',
  ),
  ROUTER_SOCKET_OPERATIONS_PER_USER_MAX: int(200, { min: 1 }).describe(
    'Operations that run on all WebSockets of one person (or API key), at most.',
  ),
  ROUTER_SOCKET_OPERATIONS_PER_TENANT_MAX: int(20_000, { min: 1 }).describe(
    'Operations that run on all WebSockets of one organisation, at most.',
  ),
  ROUTER_SOCKET_MESSAGE_BYTES_MAX: int(65_536).describe('Size of a message of a WebSocket, at most.'),
  ROUTER_SOCKET_PING_MS: int(25_000, { min: 1 }).describe(
    'How often a WebSocket is asked for a sign of life; one that has not answered is closed at the next time.',
  ),
  ROUTER_SOCKET_INIT_MS: int(3_000, { min: 1 }).describe(
    'How long a WebSocket may take until it says who is there (connection_init).',
  ),
  ROUTER_PLANS_MAX: int(2_000, { min: 1 }).describe('Query plans kept, at most.'),
  ROUTER_PERSISTED_BYTES_MAX: int(16_777_216).describe(
    'Texts kept for clients that send their hash (automatic persisted queries), in bytes, at most.',
  ),
  ROUTER_BODY_BYTES_MAX: int(1_048_576).describe('Size of a request body, at most.'),
  ROUTER_BODY_DEPTH_MAX: int(64).describe('Nesting of objects and lists in a request body, at most.'),
  ROUTER_VARIABLE_VALUES_MAX: int(5_000).describe('Values in the variables of an operation, at most.'),
  ROUTER_DOCUMENT_BYTES_MAX: int(32_768).describe('Size of a GraphQL document, at most.'),
  ROUTER_TOKENS_MAX: int(1_000).describe('Tokens of a document, at most.'),
  ROUTER_DEPTH_MAX: int(10).describe('Levels of fields of an operation, at most.'),
  ROUTER_INTROSPECTION_DEPTH_MAX: int(15).describe('Levels of fields below __schema and __type, at most.'),
  ROUTER_ALIASES_MAX: int(30).describe('Aliases written in a document, at most.'),
  ROUTER_ROOT_FIELDS_MAX: int(20).describe('Root fields of an operation, at most.'),
  ROUTER_REPEATS_MAX: int(20).describe('Times that one selection set may write the same field, at most.'),
  ROUTER_DIRECTIVES_MAX: int(50).describe('Directives written in a document, at most.'),
  ROUTER_SELECTIONS_MAX: int(2_000).describe('Fields of an operation with fragments expanded, at most.'),
  ROUTER_TRUSTED_DOCUMENTS: choice(['off', 'log', 'enforce'], 'off').describe(
    'What is done about documents that are not in the manifest: nothing, a log line for each, or they are refused.',
  ),
  ROUTER_TRUSTED_DOCUMENTS_FILE: text('').describe(
    'The manifest of registered documents: of Apollo\'s format, or { "<id>": "<document>" }. Empty: none.',
  ),
  ROUTER_COST_MAX: int(5_000).describe(
    'Points that one operation may cost, by @cost and @listSize; 0 = no limit.',
  ),
  ROUTER_COST_LIST_SIZE: int(10).describe('Items of a list that has no @listSize.'),
  ROUTER_VIEWER_POINTS_PER_S: int(1_000).describe(
    'Points that operations of one person may cost in a second, over all replicas; 0 = no limit.',
  ),
  ROUTER_KEY_POINTS_PER_S: int(1_000).describe('The same for one API key.'),
  ROUTER_ORGANIZATION_POINTS_PER_S: int(10_000).describe('The same for one organisation in all.'),
  ROUTER_ADDRESS_POINTS_PER_S: int(1_000).describe(
    'The same for one network address, of operations without a token.',
  ),
  ROUTER_VIEWER_REQUESTS_PER_S: int(100).describe(
    'Requests of one person in a second, at each replica; 0 = no limit.',
  ),
  ROUTER_ADDRESS_REQUESTS_PER_S: int(100).describe(
    'Requests without a token of one network address in a second, at each replica; 0 = no limit.',
  ),
  ROUTER_BURST_S: int(10, { min: 1, max: 3_600 }).describe(
    'For how many seconds points and requests are saved up when they are not used.',
  ),
  ROUTER_HSTS_MAX_AGE_S: int(0).describe(
    'Seconds for which browsers are told to come by HTTPS alone; 0 = nothing is said. For routers behind TLS.',
  ),
  ROUTER_HEADERS_TIMEOUT_MS: int(5_000, { min: 100 }).describe(
    'Longest wait for the head of a request; the connection is cut then.',
  ),
  ROUTER_REQUEST_TIMEOUT_MS: int(10_000, { min: 100 }).describe(
    'Longest wait for a whole request, its body included.',
  ),
  ROUTER_HEADER_BYTES_MAX: int(16_384, { min: 1_024 }).describe('Size of the head of a request, at most.'),
  ROUTER_REQUESTS_PER_CONNECTION_MAX: int(10_000).describe(
    'Requests on one connection, after which it is closed; 0 = no limit.',
  ),
  ROUTER_CONNECTIONS_PER_ADDRESS_MAX: int(0).describe(
    'Open connections of one address, at most; 0 = no limit, as behind a proxy.',
  ),
  ROUTER_DRAIN_FILE: text('').describe(
    'While this file exists, /health/ready is 503 and everything else goes on: takes one replica out of the balancer.',
  ),
  ROUTER_DRAIN_DELAY_MS: int(0).describe(
    'How long to go on serving after readiness turned to 503: the interval of the load balancer.',
  ),
  ROUTER_ANONYMOUS: flag(false, { refusedInProduction: true }).describe(
    'Serve any supergraph at the addresses in it: no authentication, no signed context, no Redis.',
  ),
};

export interface RouterConfig {
  host: string;
  port: number;
  logLevel: string;
  supergraphFile: string;
  supergraphPollMs: number;
  /** In place of the file. */
  supergraphUrl: { url: string; copyFile: string | null; pollMs: number; timeoutMs: number } | null;
  /** Addresses that replace those in the file, by subgraph name. */
  subgraphUrls: Readonly<Record<string, string>>;
  /** By subgraph name; null: calls are not signed. */
  keyRings: Readonly<Record<string, KeyRing>> | null;
  /** Null: nobody is authenticated. */
  tokens: { jwksUrl: string; issuer: string; audience: string } | null;
  /** Whose tokens make callers where nobody is a viewer; null: nobody's. */
  callers: { jwksUrl: string; issuer: string; audience: string } | null;
  scopesClaim: string;
  accessMode: AccessMode;
  redisUrl: string | null;
  corsOrigins: readonly string[];
  /** Null: no cookie is read or written. */
  cookies: CookieMode | null;
  introspection: boolean;
  /** Health answers name the parts of the system; without it they say whether it is well. */
  healthDetails: boolean;
  /** Tell callers who ask how their answers came about. */
  explain: boolean;
  /** Greet people who open the router in a browser. */
  landing: boolean;
  proxyHops: number;
  subgraphTimeoutMs: number;
  subgraphTimeoutsMs: Readonly<Record<string, number>>;
  operationTimeoutMs: number;
  subgraphRetriesMax: number;
  breaker: { failuresPercent: number; openMs: number };
  isDeduplicating: boolean;
  subgraphWaitingMax: number;
  subgraphConnectionsMax: number;
  plansMax: number;
  persistedBytesMax: number;
  limits: BodyLimits & OperationLimits;
  admission: Admission;
  sockets: SocketLimits;
  /** What is kept of subgraphs' answers; null: nothing. */
  cache: { bytesMax: number; maxAgeMax: number; defaultMaxAge: number; redisTimeoutMs: number } | null;
  trustedDocuments: { file: string | null; mode: TrustMode };
  cost: CostLimits;
  hstsMaxAgeS: number;
  connections: ConnectionLimits;
  /** Null: none. */
  drainFile: string | null;
  drainDelayMs: number;
}

/** Apollo Sandbox in its three forms, and whatever a developer serves from their own machine. */
const DEVELOPMENT_ORIGINS = [
  'https://studio.apollographql.com',
  'https://explorer.embed.apollographql.com',
  'https://sandbox.embed.apollographql.com',
  'http://localhost:*',
];
/** Each tries a secret, or has one sent: one in a document, so that aliases gain nothing. */
const CREDENTIAL_FIELDS = [
  ...['login', 'register', 'tokenRefresh', 'inviteAccept'],
  ...['passwordChange', 'passwordResetRequest', 'passwordReset'],
  ...['emailVerificationSend', 'emailVerify', 'emailChangeRequest', 'emailChangeConfirm'],
  ...['signInStart', 'signInComplete', 'userErase'],
];

/** Throws a ConfigError with every problem at once. */
export function readRouterConfig(env: NodeJS.ProcessEnv): RouterConfig {
  const values = readConfig('router', variables, { ...env, ROUTER_PORT: env.ROUTER_PORT || env.PORT });
  const isAnonymous = values.ROUTER_ANONYMOUS;
  const problems = [
    ...cookieProblems(values),
    ...supergraphProblems(values),
    ...trustProblems(values),
    ...timeoutsOf(values.ROUTER_SUBGRAPH_TIMEOUTS_MS).problems,
  ];
  if (problems.length > 0) throw new ConfigError('router', problems);
  return Object.freeze({
    ...servingOf(values),
    subgraphUrls: isAnonymous ? {} : subgraphUrlsOf(values),
    keyRings: isAnonymous ? null : keyRingsOf(values),
    tokens: isAnonymous ? null : issuerOf(values),
    callers: isAnonymous && env.ROUTER_JWKS_URL ? issuerOf(values) : null,
    scopesClaim: values.ROUTER_SCOPES_CLAIM,
    accessMode: values.ROUTER_ACCESS_MODE,
    redisUrl: isAnonymous ? null : values.REDIS_URL,
  });
}

/**
 * The configuration of a router that serves any supergraph file, without accounts. Its limits only keep a
 * document from stopping the process: somebody else's benchmark decides what is a sane operation.
 */
export function anonymousConfig(env: NodeJS.ProcessEnv): RouterConfig {
  const config = readRouterConfig({ ...ANONYMOUS_DEFAULTS, ...env, ROUTER_ANONYMOUS: 'true' });
  return { ...config, limits: { ...config.limits, credentialFields: [] } };
}

const ANONYMOUS_DEFAULTS = {
  LOG_LEVEL: 'warn',
  ROUTER_SUBGRAPH_TIMEOUT_MS: '30000',
  ROUTER_OPERATION_TIMEOUT_MS: '60000',
  ROUTER_SUBGRAPH_WAITING_MAX: '10000',
  ROUTER_SUBGRAPH_CONNECTIONS_MAX: '256',
  ROUTER_BODY_BYTES_MAX: '4194304',
  ROUTER_VARIABLE_VALUES_MAX: '1000000',
  ROUTER_DOCUMENT_BYTES_MAX: '524288',
  ROUTER_TOKENS_MAX: '20000',
  ROUTER_DEPTH_MAX: '50',
  ROUTER_INTROSPECTION_DEPTH_MAX: '50',
  ROUTER_ALIASES_MAX: '1000',
  ROUTER_ROOT_FIELDS_MAX: '500',
  ROUTER_REPEATS_MAX: '500',
  ROUTER_DIRECTIVES_MAX: '1000',
  ROUTER_SELECTIONS_MAX: '100000',
  ROUTER_COST_MAX: '0',
  ROUTER_VIEWER_POINTS_PER_S: '0',
  ROUTER_KEY_POINTS_PER_S: '0',
  ROUTER_ORGANIZATION_POINTS_PER_S: '0',
  ROUTER_ADDRESS_POINTS_PER_S: '0',
  ROUTER_VIEWER_REQUESTS_PER_S: '0',
  ROUTER_ADDRESS_REQUESTS_PER_S: '0',
};

type Values = Config<typeof variables>;

function cookieProblems(values: Values): string[] {
  if (values.ROUTER_COOKIES === 'off') return [];
  const isEverybody = originsOf(values.ROUTER_CORS_ORIGINS).includes('*');
  const isProduction = values.TASKFLOW_MODE === 'production';
  return [
    ...(isEverybody ? ['ROUTER_CORS_ORIGINS: * would let every page use the cookies; name the origins'] : []),
    ...(isProduction && values.ROUTER_COOKIES === 'insecure'
      ? ['ROUTER_COOKIES: insecure is a development switch and refused in production']
      : []),
    ...(values.ROUTER_ANONYMOUS ? ['ROUTER_COOKIES: a router without accounts has no cookies'] : []),
  ];
}

function trustProblems(values: Values): string[] {
  const mode = values.ROUTER_TRUSTED_DOCUMENTS;
  const isMissing = mode !== 'off' && values.ROUTER_TRUSTED_DOCUMENTS_FILE === '';
  return isMissing ? [`ROUTER_TRUSTED_DOCUMENTS_FILE: required by ROUTER_TRUSTED_DOCUMENTS=${mode}`] : [];
}

function supergraphProblems({ ROUTER_SUPERGRAPH_URL: url }: Values): string[] {
  const protocol = URL.parse(url)?.protocol;
  if (url === '' || protocol === 'http:' || protocol === 'https:') return [];
  return ['ROUTER_SUPERGRAPH_URL: expected a http or https URL'];
}

/** Each entry is `<subgraph>=<milliseconds>`. */
function timeoutsOf(text: string): { timeouts: Record<string, number>; problems: string[] } {
  const timeouts: Record<string, number> = {};
  const problems: string[] = [];
  for (const entry of text.split(',').filter((part) => part.trim() !== '')) {
    const [, name, ms] = /^\s*([\w-]+)\s*=\s*([1-9]\d{0,6})\s*$/.exec(entry) ?? [];
    if (name && ms) timeouts[name] = Number(ms);
    else problems.push('ROUTER_SUBGRAPH_TIMEOUTS_MS: expected "<subgraph>=<milliseconds>", comma-separated');
  }
  return { timeouts, problems };
}

const originsOf = (text: string): string[] =>
  text
    .split(',')
    .map((origin) => origin.trim())
    .filter((origin) => origin !== '');

function servingOf(values: Values) {
  const isDevelopment = values.TASKFLOW_MODE === 'development';
  const given = originsOf(values.ROUTER_CORS_ORIGINS);
  return {
    host: values.ROUTER_HOST,
    port: values.ROUTER_PORT,
    logLevel: values.LOG_LEVEL,
    supergraphFile: values.ROUTER_SUPERGRAPH_FILE,
    supergraphPollMs: values.ROUTER_SUPERGRAPH_POLL_MS,
    supergraphUrl: supergraphUrlOf(values),
    corsOrigins: given.length > 0 || !isDevelopment ? given : DEVELOPMENT_ORIGINS,
    cookies: values.ROUTER_COOKIES === 'off' ? null : values.ROUTER_COOKIES,
    introspection:
      values.ROUTER_INTROSPECTION === 'auto' ? isDevelopment : values.ROUTER_INTROSPECTION === 'true',
    healthDetails:
      values.ROUTER_HEALTH_DETAILS === 'auto' ? isDevelopment : values.ROUTER_HEALTH_DETAILS === 'true',
    explain: values.ROUTER_EXPLAIN === 'auto' ? isDevelopment : values.ROUTER_EXPLAIN === 'true',
    landing: isDevelopment && !values.ROUTER_ANONYMOUS,
    proxyHops: values.ROUTER_PROXY_HOPS,
    subgraphTimeoutMs: values.ROUTER_SUBGRAPH_TIMEOUT_MS,
    subgraphTimeoutsMs: timeoutsOf(values.ROUTER_SUBGRAPH_TIMEOUTS_MS).timeouts,
    operationTimeoutMs: values.ROUTER_OPERATION_TIMEOUT_MS,
    subgraphRetriesMax: values.ROUTER_SUBGRAPH_RETRIES_MAX,
    breaker: {
      failuresPercent: values.ROUTER_BREAKER_FAILURES_PERCENT,
      openMs: values.ROUTER_BREAKER_OPEN_MS,
    },
    isDeduplicating: values.ROUTER_DEDUPE === 'on',
    subgraphWaitingMax: values.ROUTER_SUBGRAPH_WAITING_MAX,
    subgraphConnectionsMax: values.ROUTER_SUBGRAPH_CONNECTIONS_MAX,
    plansMax: values.ROUTER_PLANS_MAX,
    persistedBytesMax: values.ROUTER_PERSISTED_BYTES_MAX,
    limits: limitsOf(values),
    sockets: {
      perUserMax: values.ROUTER_SOCKETS_PER_USER_MAX,
      perTenantMax: values.ROUTER_SOCKETS_PER_TENANT_MAX,
      perSecond: values.ROUTER_SOCKETS_PER_S,
      operationsPerSocketMax: values.ROUTER_SOCKET_OPERATIONS_MAX,
      operationsPerUserMax: values.ROUTER_SOCKET_OPERATIONS_PER_USER_MAX,
      operationsPerTenantMax: values.ROUTER_SOCKET_OPERATIONS_PER_TENANT_MAX,
      messageBytesMax: values.ROUTER_SOCKET_MESSAGE_BYTES_MAX,
      pingIntervalMs: values.ROUTER_SOCKET_PING_MS,
      initTimeoutMs: values.ROUTER_SOCKET_INIT_MS,
    },
    admission: {
      viewer: bucketLimit(values.ROUTER_VIEWER_REQUESTS_PER_S, values),
      address: bucketLimit(values.ROUTER_ADDRESS_REQUESTS_PER_S, values),
    },
    cost: costLimitsOf(values),
    cache: cacheOf(values),
    trustedDocuments: {
      file: values.ROUTER_TRUSTED_DOCUMENTS_FILE || null,
      mode: values.ROUTER_TRUSTED_DOCUMENTS,
    },
    hstsMaxAgeS: values.ROUTER_HSTS_MAX_AGE_S,
    connections: {
      headersTimeoutMs: values.ROUTER_HEADERS_TIMEOUT_MS,
      requestTimeoutMs: values.ROUTER_REQUEST_TIMEOUT_MS,
      headerBytesMax: values.ROUTER_HEADER_BYTES_MAX,
      requestsPerConnectionMax: values.ROUTER_REQUESTS_PER_CONNECTION_MAX,
      connectionsPerAddressMax: values.ROUTER_CONNECTIONS_PER_ADDRESS_MAX,
    },
    drainFile: values.ROUTER_DRAIN_FILE || null,
    drainDelayMs: values.ROUTER_DRAIN_DELAY_MS,
  };
}

function costLimitsOf(values: Values): CostLimits {
  return {
    costMax: values.ROUTER_COST_MAX,
    listSize: values.ROUTER_COST_LIST_SIZE,
    points: {
      viewer: bucketLimit(values.ROUTER_VIEWER_POINTS_PER_S, values),
      key: bucketLimit(values.ROUTER_KEY_POINTS_PER_S, values),
      organization: bucketLimit(values.ROUTER_ORGANIZATION_POINTS_PER_S, values),
      address: bucketLimit(values.ROUTER_ADDRESS_POINTS_PER_S, values),
    },
  };
}

/** Null: no limit. */
const bucketLimit = (pointsPerS: number, { ROUTER_BURST_S }: Values): BucketLimit | null =>
  pointsPerS > 0 ? { pointsPerS, capacity: pointsPerS * ROUTER_BURST_S } : null;

function limitsOf(values: Values): BodyLimits & OperationLimits {
  return {
    bodyBytesMax: values.ROUTER_BODY_BYTES_MAX,
    bodyDepthMax: values.ROUTER_BODY_DEPTH_MAX,
    variableValuesMax: values.ROUTER_VARIABLE_VALUES_MAX,
    documentBytesMax: values.ROUTER_DOCUMENT_BYTES_MAX,
    tokensMax: values.ROUTER_TOKENS_MAX,
    depthMax: values.ROUTER_DEPTH_MAX,
    introspectionDepthMax: values.ROUTER_INTROSPECTION_DEPTH_MAX,
    aliasesMax: values.ROUTER_ALIASES_MAX,
    rootFieldsMax: values.ROUTER_ROOT_FIELDS_MAX,
    repeatsMax: values.ROUTER_REPEATS_MAX,
    directivesMax: values.ROUTER_DIRECTIVES_MAX,
    selectionsMax: values.ROUTER_SELECTIONS_MAX,
    credentialFields: CREDENTIAL_FIELDS,
  };
}

function cacheOf(values: Values): RouterConfig['cache'] {
  if (values.ROUTER_CACHE_BYTES_MAX === 0) return null;
  return {
    bytesMax: values.ROUTER_CACHE_BYTES_MAX,
    maxAgeMax: values.ROUTER_CACHE_MAX_AGE_S,
    defaultMaxAge: values.ROUTER_CACHE_DEFAULT_MAX_AGE_S,
    redisTimeoutMs: values.ROUTER_CACHE_REDIS_TIMEOUT_MS,
  };
}

function supergraphUrlOf(values: Values): RouterConfig['supergraphUrl'] {
  if (values.ROUTER_SUPERGRAPH_URL === '') return null;
  return {
    url: values.ROUTER_SUPERGRAPH_URL,
    copyFile: values.ROUTER_SUPERGRAPH_COPY || null,
    pollMs: values.ROUTER_SUPERGRAPH_URL_POLL_MS,
    timeoutMs: values.ROUTER_SUPERGRAPH_URL_TIMEOUT_MS,
  };
}

function issuerOf(values: Values) {
  return {
    jwksUrl: values.ROUTER_JWKS_URL,
    issuer: values.USER_TOKEN_ISSUER,
    audience: values.USER_TOKEN_AUDIENCE,
  };
}

function subgraphUrlsOf(values: Values): Record<string, string> {
  return {
    user: values.ROUTER_USER_URL,
    org: values.ROUTER_ORG_URL,
    task: values.ROUTER_TASK_URL,
    notification: values.ROUTER_NOTIFICATION_URL,
  };
}

function keyRingsOf(values: Values): Record<string, KeyRing> {
  return {
    user: parseKeyRing(values.USER_CONTEXT_KEY),
    org: parseKeyRing(values.ORG_CONTEXT_KEY),
    task: parseKeyRing(values.TASK_CONTEXT_KEY),
    notification: parseKeyRing(values.NOTIFICATION_CONTEXT_KEY),
  };
}
