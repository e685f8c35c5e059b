// The standard path: an HTTP request through Apollo Server, for everything that is no plain POST of one operation.
//
//   body-limits … admit ─▶ well-formed POST of application/json, no plugins ─▶ hot path: the stages alone
//                        └▶ anything else ─▶ Apollo Server: CSRF prevention, shape of the request, APQ, parse, validate, plugins
//                                              └─ its executor ─▶ the same stages that the hot path goes through
//
// What a browser sends without asking first is never application/json by POST, so the way to the hot path is its CSRF
// prevention. The limits on a text hold before Apollo Server parses it.

import { type ApolloServer, type BaseContext, HeaderMap, type HTTPGraphQLResponse } from '@apollo/server';
import { Kind, OperationTypeNode } from 'graphql';
import { type ApolloServerDeps, createApolloServer, standardContext } from './apollo-server.ts';
import type { Answer, Exchange } from './exchange.ts';

export interface StandardPath {
  /** True with plugins: they are to see every request. */
  readonly takesAll: boolean;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Has `check` look at the text of a request, where there is one; null: it is within the limits, or no text of GraphQL at all. */
  limit(exchange: Exchange, check: () => Promise<Answer | undefined>): Promise<Answer | null>;
  /** `operate` is the executor: the stages behind `admit`, whose answer is raw. Null for a subscription, which takes the hot path. */
  answer(exchange: Exchange, operate: (exchange: Exchange) => Promise<Answer>): Promise<Answer | null>;
}

export function createStandardPath(deps: ApolloServerDeps): StandardPath {
  const server = createApolloServer(deps);
  let isStarted = false;
  return {
    takesAll: deps.plugins.length > 0,
    async start() {
      await server.start();
      isStarted = true;
    },
    async stop() {
      if (isStarted) await server.stop();
    },
    async limit(exchange, check) {
      const query = textOf(exchange.http);
      if (query === null) return null;
      exchange.params ??= { query, operationName: undefined, variables: {}, extensions: {} };
      const refused = await check();
      return refused && !isUnparsable(refused) ? refused : null;
    },
    async answer(exchange, operate) {
      if (hasSubscription(exchange.document)) return null;
      const context = { exchange, operate, sent: [] };
      const answer = await standardContext.run(context, () =>
        answerByApollo(server, exchange, async () => context),
      );
      return { ...answer, body: { errors: context.sent } };
    },
  };
}

/** Apollo Server executes none; and its validation throws over some (see parse-validate). */
function hasSubscription(document: Exchange['document']): boolean {
  return (
    document?.definitions.some(
      (node) => node.kind === Kind.OPERATION_DEFINITION && node.operation === OperationTypeNode.SUBSCRIPTION,
    ) ?? false
  );
}

/** The text that the request brings along; a hash alone brings none. */
function textOf(http: Exchange['http']): string | null {
  const body = http?.body as { query?: unknown } | null | undefined;
  const query = http?.method === 'GET' ? new URLSearchParams(http.search).get('query') : body?.query;
  return typeof query === 'string' ? query : null;
}

/** Apollo Server says so itself, with its plugins listening. */
function isUnparsable({ body }: Answer): boolean {
  return body?.errors?.some((error) => error.extensions?.code === 'GRAPHQL_PARSE_FAILED') ?? false;
}

/**
 * The integration of an Apollo Server with this router's HTTP side: what the package's own test suite for integrations is
 * run against. Never rejects for what a client did.
 */
export async function answerByApollo<Context extends BaseContext>(
  server: ApolloServer<Context>,
  { headers, http }: Pick<Exchange, 'headers' | 'http'>,
  context: () => Promise<Context>,
): Promise<Answer> {
  if (!http) throw new Error('The standard path is for HTTP.');
  const { method, search, body } = http;
  const response = await server.executeHTTPGraphQLRequest({
    httpGraphQLRequest: { method: method.toUpperCase(), headers: headerMapOf(headers), search, body },
    context,
  });
  return answerOf(response);
}

function headerMapOf(headers: Exchange['headers']): HeaderMap {
  const map = new HeaderMap();
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) map.set(name, Array.isArray(value) ? value.join(', ') : value);
  }
  // Scripts alone set a Bearer token, and a browser asks before it lets those of another site: no cross-site request.
  if (headers.authorization?.startsWith('Bearer ')) map.set('apollo-require-preflight', 'true');
  return map;
}

/** Of a page that says no more by itself. */
export const PAGE_POLICY = "frame-ancestors 'none'";

function answerOf({ status, headers, body }: HTTPGraphQLResponse): Answer {
  const isPage = headers.get('content-type')?.startsWith('text/html') ?? false;
  return {
    status: status ?? 200,
    // A landing page of a plugin runs scripts of its own.
    headers: {
      ...Object.fromEntries(headers),
      ...(isPage ? { 'content-security-policy': PAGE_POLICY } : {}),
    },
    body: null,
    written: body.kind === 'complete' ? body.string : body.asyncIterator,
  };
}
