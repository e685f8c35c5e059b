// The table of contents: every stage in the order a request meets it.
//
//   request ─▶ requestStages, one after the other: each lets the exchange go on, answers it, or refuses it
//                 ├─ behind `admit`: what is no plain POST goes through Apollo Server, whose executor is the rest of the list
//                 └─ execute ─▶ plan ─▶ per subgraph call: callStages around it
//   answer  ◀─ answerStages, on every answer, whoever gave it
//
// Sockets send their operations through the same lists; a stage that concerns HTTP alone skips them by itself.

import { createKeys } from '@taskflow/kit/keys';
import type { Log } from '@taskflow/kit/log';
import type { RedisConnections } from '@taskflow/kit/redis';
import { GraphQLError } from 'graphql';
import { type AnswerCache, createNoAnswerCache } from './caching/answer-cache.ts';
import type { Caller, CallerVerifier } from './callers.ts';
import { type CallCounter, createNoCallCounter } from './calls.ts';
import type { RouterConfig } from './config.ts';
import { type Cookies, createCookies } from './cookies.ts';
import { type Buckets, createBuckets } from './cost/buckets.ts';
import { createCosts } from './cost/costs.ts';
import { type Answer, type AnswerBody, type Exchange, Refusal } from './exchange.ts';
import type { Breakers } from './gateway/breakers.ts';
import { createDocuments, type Documents } from './gateway/documents.ts';
import type { Flights } from './gateway/flights.ts';
import type { OperationFlights } from './gateway/operation-flights.ts';
import { createPersistedDocuments, type PersistedDocuments } from './gateway/persisted-documents.ts';
import type { SubgraphAnswer, SubgraphCall } from './gateway/subgraph-calls.ts';
import type { Supergraph } from './gateway/supergraph.ts';
import type { TrustedDocuments } from './gateway/trusted-documents.ts';
import { createPolicies, type PolicyHook } from './policies.ts';
import { createAccessDirectives } from './stages/access-directives.ts';
import { createAccessLog } from './stages/access-log.ts';
import { createAdmit } from './stages/admit.ts';
import { createAnswerCacheStage } from './stages/answer-cache.ts';
import { createAuthenticate } from './stages/authenticate.ts';
import { createBodyLimits } from './stages/body-limits.ts';
import { createCacheHeaders } from './stages/cache-headers.ts';
import { createCallDeadline } from './stages/call-deadline.ts';
import { createCircuitBreaker } from './stages/circuit-breaker.ts';
import { createCookieStage } from './stages/cookies.ts';
import { createCorsCsrf } from './stages/cors-csrf.ts';
import { createCostCharge } from './stages/cost-charge.ts';
import { createCostSettle } from './stages/cost-settle.ts';
import { createCountCalls } from './stages/count-calls.ts';
import { createExecute } from './stages/execute.ts';
import { createExplain } from './stages/explain.ts';
import { createExplainCalls } from './stages/explain-calls.ts';
import { createMaskErrors } from './stages/mask-errors.ts';
import { createOperationLimits } from './stages/operation-limits.ts';
import { createParseValidate, InvalidOperation } from './stages/parse-validate.ts';
import { createPersistedQueries } from './stages/persisted-queries.ts';
import { createRequestId } from './stages/request-id.ts';
import { createRetry } from './stages/retry.ts';
import { createSecurityHeaders } from './stages/security-headers.ts';
import { createSetCookies } from './stages/set-cookies.ts';
import { createShareInFlight } from './stages/share-in-flight.ts';
import { createContextSigner, createSignContext } from './stages/sign-context.ts';
import { createTrustedDocumentsStage } from './stages/trusted-documents.ts';
import type { StandardPath } from './standard-path.ts';
import type { AccessToken, TokenVerifier } from './tokens.ts';

export const GRAPHQL_PATH = '/graphql';

/** Returns nothing to let the exchange go on, an answer to end it there, or throws (a Refusal: a coded no). */
export interface RequestStage {
  readonly name: string;
  run(exchange: Exchange): Answer | undefined | Promise<Answer | undefined>;
}

/** Runs on every answer on its way out. */
export interface AnswerStage {
  readonly name: string;
  run(exchange: Exchange, answer: Answer): Answer;
}

/** Wraps one call to a subgraph. */
export interface CallStage {
  readonly name: string;
  run(call: SubgraphCall, next: (call: SubgraphCall) => Promise<SubgraphAnswer>): Promise<SubgraphAnswer>;
}

export interface PipelineDeps {
  config: RouterConfig;
  supergraph: Pick<Supergraph, 'current'>;
  /** Shared with whoever warms a supergraph up; absent: known to this pipeline alone. */
  documents?: Documents;
  /** Absent: every caller is anonymous. */
  tokens: TokenVerifier | null;
  /** Verifies tokens of an issuer that is not ours, for the file's own directives; absent: they mean nothing. */
  callers?: CallerVerifier | null;
  /** Which policies of the file's own directives a caller is granted; absent: none. */
  policies?: PolicyHook | undefined;
  /** Counts the requests of API keys over all replicas; absent: each replica counts for itself. */
  redis?: Pick<RedisConnections, 'commands' | 'keys'> | null;
  /** What operations cost is taken from; absent: from buckets of this process. */
  buckets?: Buckets;
  /** Counts the calls of organisations; absent: they are not counted. */
  calls?: CallCounter | undefined;
  /** Documents that were registered; absent: none. */
  trusted?: Pick<TrustedDocuments, 'find' | 'has'> | null;
  /** Texts by their hash, shared with the standard path; absent: the stages keep their own. */
  persisted?: PersistedDocuments;
  /** Absent where nothing comes over HTTP. */
  standardPath?: StandardPath | undefined;
  /** Absent: each executes for itself, whatever others ask at the same time. */
  operations?: OperationFlights | null;
  log: Log;
}

export function requestStages({
  config,
  supergraph,
  documents = createDocuments(),
  tokens,
  callers,
  policies,
  redis,
  calls,
  persisted,
  trusted,
  log,
  buckets = createBuckets({ redis: null, log }),
  operations,
}: Omit<PipelineDeps, 'standardPath'>): RequestStage[] {
  const { limits, admission, cost, introspection } = config;
  const bytesMax = config.persistedBytesMax;
  const texts = persisted ?? createPersistedDocuments({ bytesMax, redis: null, log });
  const freeFields = [...limits.credentialFields, 'logout'];
  return [
    createRequestId(),
    createSecurityHeaders(config),
    createAccessLog({ log }),
    createCorsCsrf({ origins: config.corsOrigins, hasCookies: config.cookies !== null }),
    createCookieStage({ origins: config.corsOrigins, cookies: cookiesOf(config) }),
    createBodyLimits({ limits }),
    ...(tokens || callers ? [createAuthenticate({ tokens, callers: callers ?? null })] : []),
    createAdmit({ admission, redis: redis ?? null, log }),
    createTrustedDocumentsStage({ trusted: trusted ?? null, mode: config.trustedDocuments.mode, log }),
    createPersistedQueries({ persisted: texts }),
    createOperationLimits({ limits, documents }),
    createParseValidate({ supergraph, documents, persisted: texts, introspection }),
    createAccessDirectives({ mode: config.accessMode, policies: createPolicies(policies, log) }),
    createCostCharge({ limits: cost, costs: createCosts(cost), buckets, keys: redis?.keys ?? createKeys() }),
    ...(tokens ? [createCountCalls({ calls: calls ?? createNoCallCounter(), freeFields })] : []),
    ...(config.explain ? [createExplain({ hasAccounts: tokens !== null })] : []),
    createExecute(operations),
  ];
}

export interface CallDeps {
  config: RouterConfig;
  /** Absent: nothing is kept. */
  cache?: Pick<AnswerCache, 'answer'> | undefined;
  flights: Flights;
  breakers: Breakers;
}

export function callStages({
  config,
  cache = createNoAnswerCache(),
  flights,
  breakers,
}: CallDeps): CallStage[] {
  const { keyRings, limits } = config;
  return [
    ...(config.explain ? [createExplainCalls()] : []),
    createAnswerCacheStage({ cache }),
    createCallDeadline({
      timeoutMs: config.subgraphTimeoutMs,
      timeoutsMs: config.subgraphTimeoutsMs,
      operationTimeoutMs: config.operationTimeoutMs,
    }),
    ...(config.isDeduplicating ? [createShareInFlight({ flights })] : []),
    createCircuitBreaker({ breakers }),
    createRetry({
      retriesMax: config.subgraphRetriesMax,
      knowsKeys: keyRings !== null,
      credentialFields: limits.credentialFields,
    }),
    ...(keyRings ? [createSignContext({ keyRings, establishingSubgraph: 'user' })] : []),
  ];
}

export function answerStages({
  config,
  log,
  buckets = createBuckets({ redis: null, log }),
}: Pick<PipelineDeps, 'config' | 'buckets' | 'log'>): AnswerStage[] {
  return [
    createCostSettle({ buckets }),
    createMaskErrors({ log }),
    createSetCookies({ cookies: cookiesOf(config) }),
    createCacheHeaders(),
  ];
}

/** Null: off. */
export const cookiesOf = ({ cookies }: RouterConfig): Cookies | null =>
  cookies && createCookies(cookies, GRAPHQL_PATH);

/** What HTTP and sockets may do with an exchange. */
export interface Pipeline {
  /** The request stages in front of `execute`. Null: `exchange.prepared` is ready; otherwise the final, safe answer. Never rejects. */
  prepare(exchange: Exchange): Promise<Answer | null>;
  /** `execute` and the answer stages, for an exchange that `prepare` let through. */
  execute(exchange: Exchange): Promise<Answer>;
  /** The answer stages alone: makes a subscription's event (or a thrown error) safe to send. */
  respond(exchange: Exchange, body: AnswerBody | Error): Promise<Answer>;
  /** The signed context of a call to `subgraph` over exactly these bytes; null when calls are not signed. */
  signContext(exchange: Exchange, subgraph: string, bytes: string | Buffer): string | null;
  /** Verifies `Bearer …` as `authenticate` does; null for an absent token, a Refusal for a bad one. */
  verifyToken(authorization: string | undefined, address: string): Promise<AccessToken | null>;
  /** The same for a token of an issuer that is not ours; null when there is none, or no such issuer. */
  verifyCaller(authorization: string | undefined): Promise<Caller | null>;
}

export function createPipeline(given: PipelineDeps): Pipeline {
  const deps = { ...given, buckets: given.buckets ?? createBuckets({ redis: null, log: given.log }) };
  const stages = requestStages(deps);
  const onTheWayOut = answerStages(deps);
  const at = (name: string) => stages.findIndex((stage) => stage.name === name);
  const [atOperation, atLimits, atExecute] = [at('admit') + 1, at('operation-limits'), at('execute')];
  const atTrusted = at('trusted-documents');
  const atMask = onTheWayOut.findIndex((stage) => stage.name === 'mask-errors');
  const { keyRings } = deps.config;
  const signer = keyRings ? createContextSigner({ keyRings }) : null;

  /** Runs the stages from `from` up to `to`; undefined when none of them answered. */
  async function pass(exchange: Exchange, from: number, to: number): Promise<Answer | undefined> {
    try {
      for (let at = from; at < to; at++) {
        const running = stages[at]?.run(exchange);
        // Most stages wait for nothing: a turn of the queue for each of them would be a dozen a request.
        const answer = running instanceof Promise ? await running : running;
        if (answer) return answer;
      }
      return undefined;
    } catch (error) {
      return answerOf(error);
    }
  }

  function finish(exchange: Exchange, answer: Answer): Answer {
    const finished = onTheWayOut.reduce((passing, stage) => stage.run(exchange, passing), answer);
    const complete = { ...finished, headers: { ...exchange.answerHeaders, ...finished.headers } };
    for (const listener of exchange.onAnswered) listener(complete);
    return complete;
  }

  /** The stages from `from` to the last, which answers. */
  async function operate(exchange: Exchange, from: number): Promise<Answer> {
    return (await pass(exchange, from, stages.length)) ?? answerOf(new Error('No stage answered.'));
  }

  /** The executor of the standard path: its answer is raw, and what stages add to it is there. */
  async function answerRaw(exchange: Exchange): Promise<Answer> {
    exchange.takesParts = false; // Apollo Server takes one result of its gateway
    const answer = await operate(exchange, atOperation);
    return onTheWayOut.slice(0, atMask).reduce((passing, stage) => stage.run(exchange, passing), answer);
  }

  /** What ends the exchange in front of `execute`; undefined: it is prepared. */
  async function prepare(exchange: Exchange): Promise<Answer | undefined> {
    if (exchange.transport === 'socket') return pass(exchange, 0, atExecute);
    const early = await pass(exchange, 0, atOperation);
    if (early) return early;
    const { standardPath } = deps;
    if (standardPath && (exchange.params === null || standardPath.takesAll)) {
      const limited = await standardPath.limit(
        exchange,
        async () =>
          (await pass(exchange, atTrusted, atTrusted + 1)) ?? pass(exchange, atLimits, atLimits + 1),
      );
      const answer = limited ?? (await standardPath.answer(exchange, answerRaw));
      if (answer) return answer;
    }
    return pass(exchange, atOperation, atExecute);
  }

  return {
    async prepare(exchange) {
      const answer = await prepare(exchange);
      return answer ? finish(exchange, answer) : null;
    },
    execute: async (exchange) => finish(exchange, await operate(exchange, atExecute)),
    respond: async (exchange, body) =>
      finish(exchange, body instanceof Error ? answerOf(body) : { status: 200, headers: {}, body }),
    signContext: (exchange, subgraph, bytes) => signer?.sign(exchange, subgraph, bytes) ?? null,
    verifyToken: async (authorization, address) =>
      (await deps.tokens?.verify(authorization, address)) ?? null,
    verifyCaller: async (authorization) => (await deps.callers?.verify(authorization)) ?? null,
  };
}

/** A thrown error as an answer. Whatever has no code here gets none from mask-errors either, but a log line. */
function answerOf(error: unknown): Answer {
  if (isStackOverflow(error)) {
    return answerOf(new Refusal('OPERATION_TOO_LARGE', 'The operation nests too deeply to be read.'));
  }
  if (error instanceof Refusal) {
    const { message, extensions, status, headers } = error;
    return { status, headers, body: { errors: [new GraphQLError(message, { extensions })] } };
  }
  if (error instanceof InvalidOperation) return { status: 400, headers: {}, body: { errors: error.errors } };
  if (error instanceof GraphQLError) return { status: 400, headers: {}, body: { errors: [error] } };
  const originalError = error instanceof Error ? error : new Error(String(error));
  return {
    status: 500,
    headers: {},
    body: { errors: [new GraphQLError(originalError.message, { originalError })] },
  };
}

/** Whoever walks a document or its variables recurses: depth that no limit named ends here, before any call. */
function isStackOverflow(error: unknown): boolean {
  return error instanceof RangeError && error.message.includes('call stack');
}
