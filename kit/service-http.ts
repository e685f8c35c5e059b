/**
 * GraphQL over HTTP inside a subgraph: verify the bytes, then parse, then hand over to Apollo Server.
 *
 *   bytes + header ─▶ gate.admit ─▶ JSON ─▶ Apollo (parse, validate, gate.checkFields, execute) ─▶ bytes
 *
 * The hop is trusted only because of the signature; browsers never come here, hence no CSRF check and no CORS.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { ApolloServer, HeaderMap } from '@apollo/server';
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginInlineTraceDisabled,
  ApolloServerPluginLandingPageDisabled,
  ApolloServerPluginSchemaReportingDisabled,
  ApolloServerPluginUsageReportingDisabled,
} from '@apollo/server/plugin/disabled';
import { GraphQLError, type GraphQLFormattedError, type GraphQLSchema } from 'graphql';
import { type DomainError, toClientError } from './errors.ts';
import { ESTABLISHED_HEADER, type KeyRing, signEstablished } from './identity.ts';
import type { Log } from './log.ts';
import {
  type BuildContext,
  type BuiltContext,
  buildContext,
  type Caller,
  type Gate,
  type Origin,
  problemOf,
  type RequestContext,
  unauthenticated,
} from './service-context.ts';

export interface HttpCall {
  /** The `taskflow-context` header. */
  readonly context: string | undefined;
  /** The exact bytes of the body. */
  readonly body: Buffer;
  readonly origin: Origin;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string;
}

/** Seen by `observe`: one operation that was verified and is about to run. */
export interface ObservedRequest {
  readonly operationName: string | null;
  readonly query: string;
  readonly bodyBytes: number;
}

export interface GraphqlHttp {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Never rejects: whatever goes wrong is an answer. */
  answer(call: HttpCall): Promise<HttpAnswer>;
}

interface CallState {
  readonly caller: Caller;
  readonly log: Log;
  readonly codes: string[];
  built: BuiltContext | null;
}

export function createGraphqlHttp(options: {
  schema: GraphQLSchema;
  gate: Gate;
  ring: KeyRing;
  log: Log;
  build: BuildContext;
  observe: ((request: ObservedRequest) => void) | undefined;
}): GraphqlHttp {
  const { gate, ring, build, observe } = options;
  const calls = new AsyncLocalStorage<CallState>();
  const server = createApollo(options.schema, gate, calls, options.log);

  async function execute(call: HttpCall, state: CallState, request: GraphqlRequest): Promise<HttpAnswer> {
    const { claims } = state.caller;
    const built = buildContext(build, { claims, log: state.log, canEstablish: true });
    state.built = built;
    const response = await server.executeHTTPGraphQLRequest({
      httpGraphQLRequest: {
        method: 'POST',
        headers: new HeaderMap([
          ['content-type', 'application/json'],
          ['accept', 'application/json'],
        ]),
        search: '',
        body: request,
      },
      context: async () => {
        observe?.({
          operationName: request.operationName ?? claims.operationName ?? null,
          query: request.query ?? '',
          bodyBytes: call.body.length,
        });
        return built.context;
      },
    });
    const established = built.established();
    return {
      status: response.status ?? 200,
      headers: established
        ? { ...JSON_HEADERS, [ESTABLISHED_HEADER]: signEstablished(ring, established) }
        : JSON_HEADERS,
      body: response.body.kind === 'complete' ? response.body.string : '',
    };
  }

  async function answer(call: HttpCall): Promise<HttpAnswer> {
    const startedAt = performance.now();
    let caller: Caller;
    try {
      caller = gate.admit(call.context, call.body, call.origin);
    } catch (error) {
      options.log.warn({ problem: problemOf(error), address: call.origin.address }, 'unsigned call refused');
      return errorAnswer(401, unauthenticated(), { requestId: null, log: options.log });
    }
    const { viewer, requestId } = caller.claims;
    const log = options.log.child({ requestId, orgId: viewer?.orgId, userId: viewer?.userId });
    const state: CallState = { caller, log, codes: [], built: null };
    const request = parseRequest(call.body);
    const result =
      request === null
        ? errorAnswer(400, badRequest('The body is not JSON.'), { requestId, log })
        : await calls
            .run(state, () => execute(call, state, request))
            .catch((error) => errorAnswer(500, error, { requestId, log }));
    log.info(
      {
        operationName: request?.operationName ?? caller.claims.operationName,
        durationMs: Math.round((performance.now() - startedAt) * 10) / 10,
        status: result.status,
        ...(state.codes.length > 0 ? { codes: [...new Set(state.codes)] } : {}),
      },
      'request',
    );
    return result;
  }

  return { start: () => server.start(), stop: () => server.stop(), answer };
}

/** Only the fields that the harness itself reads; Apollo checks the shape of the rest. */
interface GraphqlRequest {
  query?: string;
  operationName?: string;
}

function parseRequest(body: Buffer): GraphqlRequest | null {
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'));
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? parsed : {};
  } catch {
    return null;
  }
}

export const JSON_HEADERS = { 'content-type': 'application/json; charset=utf-8' };

export function badRequest(message: string): GraphQLError {
  return new GraphQLError(message, { extensions: { code: 'BAD_REQUEST' } });
}

export function errorAnswer(
  status: number,
  error: unknown,
  asking: { requestId: string | null; log: Log },
): HttpAnswer {
  const errors: GraphQLFormattedError[] = [toClientError(error, asking)];
  return { status, headers: JSON_HEADERS, body: JSON.stringify({ errors }) };
}

/** Everything that Apollo Server would do on its own account (reporting, tracing, landing page) is off. */
function createApollo(schema: GraphQLSchema, gate: Gate, calls: AsyncLocalStorage<CallState>, log: Log) {
  return new ApolloServer<RequestContext>({
    schema,
    csrfPrevention: false,
    introspection: true,
    includeStacktraceInErrorResponses: false,
    hideSchemaDetailsFromClientErrors: true,
    persistedQueries: false,
    stopOnTerminationSignals: false,
    logger: { debug: () => {}, info: () => {}, warn: (m) => log.warn(m), error: (m) => log.error(m) },
    formatError: (_formatted, error) => {
      const state = calls.getStore();
      const requestId = state?.caller.claims.requestId ?? null;
      const told = toClientError(error, { requestId, log: state?.log ?? log });
      state?.codes.push(String(told.extensions?.code));
      return told;
    },
    plugins: [
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginInlineTraceDisabled(),
      ApolloServerPluginLandingPageDisabled(),
      ApolloServerPluginSchemaReportingDisabled(),
      ApolloServerPluginUsageReportingDisabled(),
      {
        requestDidStart: async () => ({
          didResolveOperation: async ({ document, request, contextValue }) => {
            const state = calls.getStore();
            if (!state) throw new Error('an operation ran outside of a verified call');
            keepToOpenFields(() => gate.checkFields(state.caller, document, request.operationName));
            state.built?.adopt(contextValue);
          },
        }),
      },
    ],
  });
}

/** Apollo answers 500 to a hook that throws, unless the error names a status. */
function keepToOpenFields(check: () => void): void {
  try {
    check();
  } catch (error) {
    const { message, code } = error as DomainError;
    const status = code === 'UNAUTHENTICATED' ? 401 : 403;
    throw new GraphQLError(message, { extensions: { code, http: { status } } });
  }
}
