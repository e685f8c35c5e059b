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
import type { Cancellation } from './cancellation.ts';
import { Deadline, DeadlineError, withDeadline } from './deadline.ts';
import { type DomainError, toClientError } from './errors.ts';
import { ESTABLISHED_HEADER, type KeyRing, STATEMENTS_HEADER, signEstablished } from './identity.ts';
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
import type { LocalReply } from './service-local.ts';
import { countingStatements } from './statement-count.ts';

export interface HttpCall {
  /** The `taskflow-context` header. */
  readonly context: string | undefined;
  /** The exact bytes of the body. */
  readonly body: Buffer;
  readonly origin: Origin;
  /** Cancelled when the caller has left. */
  readonly cancellation?: Cancellation | undefined;
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
  /** The same, with the answer as objects. */
  reply(call: HttpCall): Promise<LocalReply>;
}

interface CallState {
  readonly caller: Caller;
  readonly log: Log;
  readonly codes: string[];
  readonly deadline: Deadline;
  built: BuiltContext | null;
  isMutation: boolean;
}

/** How an operation is run, and what an error is in its place: as text over HTTP, as objects in process. */
interface Form<A> {
  execute(
    server: ApolloServer<RequestContext>,
    request: GraphqlRequest,
    context: () => RequestContext,
  ): Promise<A>;
  refusal(status: number, error: unknown, asking: Asking): A;
  withHeaders(answer: A, headers: Record<string, string>): A;
}

interface Asking {
  requestId: string | null;
  log: Log;
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

  async function execute<A>(form: Form<A>, call: HttpCall, state: CallState, request: GraphqlRequest) {
    const { claims } = state.caller;
    const built = buildContext(build, { claims, log: state.log, canEstablish: true });
    state.built = built;
    const run = () =>
      form.execute(server, request, () => {
        observe?.({
          operationName: request.operationName ?? claims.operationName ?? null,
          query: request.query ?? '',
          bodyBytes: call.body.length,
        });
        return built.context;
      });
    const answer = claims.isExplained ? await explained(form, run) : await run();
    const established = built.established();
    return established
      ? form.withHeaders(answer, { [ESTABLISHED_HEADER]: signEstablished(ring, established) })
      : answer;
  }

  async function answer<A extends { status: number }>(form: Form<A>, call: HttpCall): Promise<A> {
    const startedAt = performance.now();
    let caller: Caller;
    try {
      caller = gate.admit(call.context, call.body, call.origin);
    } catch (error) {
      options.log.warn({ problem: problemOf(error), address: call.origin.address }, 'unsigned call refused');
      return form.refusal(401, unauthenticated(), { requestId: null, log: options.log });
    }
    const { viewer, requestId, deadlineMs } = caller.claims;
    const log = options.log.child({ requestId, orgId: viewer?.orgId, userId: viewer?.userId });
    const deadline = new Deadline(deadlineMs);
    const state: CallState = { caller, log, codes: [], deadline, built: null, isMutation: false };
    const request = parseRequest(call.body);
    const result =
      request === null
        ? form.refusal(400, badRequest('The body is not JSON.'), { requestId, log })
        : await awaitWithin(state, call.cancellation, () => execute(form, call, state, request)).catch(
            (error) => form.refusal(error instanceof DeadlineError ? 504 : 500, error, { requestId, log }),
          );
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

  /** A read is waited for until its deadline, or until its caller leaves; a mutation until it has ended. */
  function awaitWithin<A>(
    state: CallState,
    caller: Cancellation | undefined,
    work: () => Promise<A>,
  ): Promise<A> {
    const { deadline } = state;
    const running = withDeadline(deadline, () => calls.run(state, work));
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        if (state.isMutation) return;
        deadline.cancellation.cancel();
        settle();
        reject(new DeadlineError('nobody waits for the answer any more'));
      };
      const timer = Number.isFinite(deadline.at)
        ? setTimeout(giveUp, deadline.leftMs + ANSWER_GRACE_MS)
        : undefined;
      const settle = () => {
        clearTimeout(timer);
        caller?.offCancel(giveUp);
      };
      caller?.onCancel(giveUp);
      running.then(resolve, reject).finally(settle);
    });
  }

  return {
    start: () => server.start(),
    stop: () => server.stop(),
    answer: (call) => answer(asText, call),
    reply: (call) => answer(asObjects, call),
  };
}

/** For the statements that end at the deadline to become errors beside the rest of the answer. */
const ANSWER_GRACE_MS = 25;

const asText: Form<HttpAnswer> = {
  async execute(server, request, context) {
    const { status, body } = await server.executeHTTPGraphQLRequest({
      httpGraphQLRequest: {
        method: 'POST',
        headers: new HeaderMap([
          ['content-type', 'application/json'],
          ['accept', 'application/json'],
        ]),
        search: '',
        body: request,
      },
      context: async () => context(),
    });
    const text = body.kind === 'complete' ? body.string : '';
    return { status: status ?? 200, headers: JSON_HEADERS, body: text };
  },
  refusal: errorAnswer,
  withHeaders: (answer, headers) => ({ ...answer, headers: { ...answer.headers, ...headers } }),
};

const asObjects: Form<LocalReply> = {
  async execute(server, request, context) {
    const { query, operationName, variables } = request;
    const response = await server.executeOperation(
      {
        ...(query === undefined ? {} : { query }),
        ...(operationName === undefined ? {} : { operationName }),
        ...(variables === undefined ? {} : { variables }),
      },
      { contextValue: context() },
    );
    if (response.body.kind !== 'single') throw new Error('a subgraph answered in parts');
    const answer = response.body.singleResult as LocalReply['answer'];
    return { status: response.http.status ?? 200, headers: {}, answer };
  },
  refusal: (status, error, asking) => ({
    status,
    headers: {},
    answer: { errors: [toClientError(error, asking)] },
  }),
  withHeaders: (reply, headers) => ({ ...reply, headers: { ...reply.headers, ...headers } }),
};

async function explained<A>(form: Form<A>, run: () => Promise<A>): Promise<A> {
  const { result, statements } = await countingStatements(run);
  return form.withHeaders(result, { [STATEMENTS_HEADER]: String(statements) });
}

/** Only the fields that the harness itself reads; Apollo checks the shape of the rest. */
interface GraphqlRequest {
  query?: string;
  operationName?: string;
  variables?: Record<string, unknown>;
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

export function errorAnswer(status: number, error: unknown, asking: Asking): HttpAnswer {
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
          didResolveOperation: async ({ document, operation, request, contextValue }) => {
            const state = calls.getStore();
            if (!state) throw new Error('an operation ran outside of a verified call');
            state.isMutation = operation?.operation === 'mutation';
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
