// The Apollo Server of the standard path: one for the life of the router, whatever supergraph is in use.
//
//   its schema     the supergraph's, told anew at each swap, as a gateway of Apollo's would
//   its executor   the stages behind `admit`, the last of which is our own executor
//   its errors     masked as everywhere, in `formatError`: plugins see raw ones in didEncounterErrors
//
// CSRF prevention, automatic persisted queries (in our store), negotiation, plugins and landing pages are Apollo's own.

import { AsyncLocalStorage } from 'node:async_hooks';
import { ApolloServer, type ApolloServerOptionsWithGateway, type ApolloServerPlugin } from '@apollo/server';
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginInlineTraceDisabled,
  ApolloServerPluginLandingPageDisabled,
  ApolloServerPluginSchemaReportingDisabled,
  ApolloServerPluginUsageReportingDisabled,
} from '@apollo/server/plugin/disabled';
import type { Log } from '@taskflow/kit/log';
import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import { type Answer, dataOf, type Exchange } from './exchange.ts';
import { quiet } from './execution/stock.ts';
import { withoutSchema } from './gateway/hidden-schema.ts';
import type { PersistedDocuments } from './gateway/persisted-documents.ts';
import type { Supergraph } from './gateway/supergraph.ts';
import { ERRORS_MAX, ownRules } from './gateway/validation.ts';
import { hasAny, mask, type RawError } from './stages/mask-errors.ts';
import { WRONG_HASH_MESSAGE, WRONG_VERSION_MESSAGE } from './stages/persisted-queries.ts';

/** What a request carries through Apollo Server; plugins find it as `contextValue`. */
export interface StandardContext {
  readonly exchange: Exchange;
  /** The stages behind `admit`; the answer is raw. */
  readonly operate: (exchange: Exchange) => Promise<Answer>;
  /** The errors that were sent, for the stages that look at an answer. */
  readonly sent: GraphQLFormattedError[];
}

type GatewayInterface = ApolloServerOptionsWithGateway<StandardContext>['gateway'];
type Executor = NonNullable<Awaited<ReturnType<GatewayInterface['load']>>['executor']>;

export interface ApolloServerDeps {
  supergraph: Pick<Supergraph, 'current' | 'onSwap'>;
  persisted: PersistedDocuments;
  plugins: readonly ApolloServerPlugin<StandardContext>[];
  introspection: boolean;
  log: Log;
}

/** Whose errors are being formatted: Apollo Server hands `formatError` the error alone. */
export const standardContext = new AsyncLocalStorage<StandardContext>();

/** Not started. */
export function createApolloServer(deps: ApolloServerDeps): ApolloServer<StandardContext> {
  const { persisted, plugins, introspection, log } = deps;
  return new ApolloServer<StandardContext>({
    gateway: gatewayOf(deps),
    plugins: [...plugins, ...withoutDefaultsOf(plugins)],
    logger: quiet(log),
    nodeEnv: 'production',
    stopOnTerminationSignals: false,
    includeStacktraceInErrorResponses: false,
    introspection: true, // or by a rule of the hot path
    validationRules: ownRules(introspection),
    validationOptions: { maxErrors: ERRORS_MAX },
    hideSchemaDetailsFromClientErrors: !introspection,
    persistedQueries: { cache: cacheOf(persisted), ttl: null },
    formatError: (_formatted, error) => formatted(error, introspection, log),
    stringifyResult: (result) => JSON.stringify(result),
  });
}

function gatewayOf({ supergraph }: ApolloServerDeps): GatewayInterface {
  return {
    onSchemaLoadOrUpdate(callback) {
      const tell = ({ schema, sdl }: ReturnType<Supergraph['current']>) =>
        callback({ apiSchema: schema, coreSupergraphSdl: sdl });
      tell(supergraph.current());
      return supergraph.onSwap(tell);
    },
    load: async () => ({ executor: execute }),
    stop: async () => {},
  };
}

const execute: Executor = async (context) => {
  const { exchange, operate } = context.context as StandardContext;
  const { operationName, variables, extensions } = context.request;
  exchange.params = {
    query: context.source,
    operationName: operationName || undefined,
    variables: variables ?? {},
    extensions: extensions ?? {},
  };
  const answer = await operate(exchange);
  const body = answer.body ?? {};
  const errors = (body.errors ?? []).map(asGraphQLError);
  const data = dataOf(body);
  const http = context.response?.http;
  if (http) {
    http.status = answer.status;
    for (const [name, value] of Object.entries(answer.headers)) http.headers.set(name, value);
  }
  // Without data Apollo Server takes the status from the errors.
  const [first, ...others] = errors;
  const told = first && data === undefined ? [withStatus(first, answer.status), ...others] : errors;
  return {
    ...(told.length > 0 ? { errors: told } : {}),
    ...(data === undefined ? {} : { data }),
    ...(hasAny(exchange.extensions) ? { extensions: exchange.extensions } : {}),
  };
};

function asGraphQLError(error: RawError): GraphQLError {
  if (error instanceof GraphQLError) return error;
  const { message, path, extensions } = error;
  return new GraphQLError(message, { path, extensions });
}

function withStatus(error: GraphQLError, status: number): GraphQLError {
  const { message, nodes, source, positions, path, originalError, extensions } = error;
  return new GraphQLError(message, {
    ...{ nodes: nodes ?? null, source: source ?? null, positions: positions ?? null },
    ...{ path: path ?? null, originalError: originalError ?? null },
    extensions: { ...extensions, http: { status } },
  });
}

function formatted(error: unknown, introspection: boolean, log: Log): GraphQLFormattedError {
  const context = standardContext.getStore();
  if (!context) throw new Error('An error was formatted outside of a request.');
  const masked = mask(coded(error), context.exchange, log);
  const isOfSchema = ['GRAPHQL_VALIDATION_FAILED', 'BAD_USER_INPUT'].includes(
    String(masked.extensions?.code),
  );
  // Without a path: it was found before anything ran, by graphql-js.
  const isHidden = !introspection && isOfSchema && !masked.path;
  const told = isHidden ? { ...masked, message: withoutSchema(masked.message) } : masked;
  context.sent.push(told);
  return told;
}

/** Apollo Server gives these two no code of their own: whoever sends them is at fault, not the server. */
const UNCODED = [WRONG_HASH_MESSAGE, WRONG_VERSION_MESSAGE];

function coded(error: unknown): RawError {
  if (!(error instanceof GraphQLError)) return new GraphQLError(String(error));
  if (!UNCODED.includes(error.message) || error.path) return error;
  return new GraphQLError(error.message, { extensions: { code: 'BAD_REQUEST' } });
}

function cacheOf(persisted: PersistedDocuments) {
  const hashIn = (key: string) => key.slice('apq:'.length);
  return {
    get: async (key: string) => persisted.find(hashIn(key)),
    set: async (key: string, text: string) => persisted.keep(hashIn(key), text),
    delete: async () => false,
  };
}

/** Nobody is phoned and nothing is added to answers, unless a plugin that was handed in does it. */
function withoutDefaultsOf(given: readonly object[]): ApolloServerPlugin<StandardContext>[] {
  const idOf = (plugin: object) => (plugin as { __internal_plugin_id__?: string }).__internal_plugin_id__;
  const chosen = new Set(given.map(idOf));
  return [
    ApolloServerPluginUsageReportingDisabled(),
    ApolloServerPluginSchemaReportingDisabled(),
    ApolloServerPluginInlineTraceDisabled(),
    ApolloServerPluginCacheControlDisabled(),
    ApolloServerPluginLandingPageDisabled(),
  ].filter((plugin) => !chosen.has(idOf(plugin)));
}
