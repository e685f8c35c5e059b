// One operation on its way through the pipeline, whatever carried it here.
//
// HTTP and WebSocket both build an Exchange and hand it to the same stages. A stage reads what earlier
// stages added, adds its own part, and either lets the exchange go on, answers it, or throws a Refusal.

import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { Cancellation } from '@taskflow/kit/cancellation';
import type { EstablishedTokens, Viewer, ViewerGroup } from '@taskflow/kit/identity';
import type { DocumentNode, GraphQLError, GraphQLFormattedError, OperationDefinitionNode } from 'graphql';
import { takesParts } from './accept.ts';
import type { Caller } from './callers.ts';
import type { Bucket } from './cost/buckets.ts';
import type { OperationCost } from './cost/operation-cost.ts';
import type { CompiledOperation, DeferredPart } from './execution/compiled-operation.ts';
import type { Explanation } from './explanation.ts';
import type { LoadedSupergraph } from './gateway/loaded-supergraph.ts';
import type { AccessToken } from './tokens.ts';

/** What a client asks for: the four members of a GraphQL request. */
export interface OperationParams {
  /** Empty for a client that sends the hash of its text alone, until `persisted-queries` has found the text. */
  query: string;
  operationName: string | undefined;
  variables: Record<string, unknown>;
  extensions: Record<string, unknown>;
  /** The id of a registered document, in place of its text. */
  documentId?: string | undefined;
}

/** The HTTP half of an exchange; absent on sockets. */
export interface HttpSide {
  readonly method: string;
  /** The query string as sent, with its question mark; or empty. */
  readonly search: string;
  /** The value that `body-limits` read; undefined for what is no JSON. */
  body: unknown;
  /** The whole body; rejects with a Refusal when it is larger than `bytesMax`. */
  readBody(bytesMax: number): Promise<Buffer>;
}

/** The answer on its way out. Before `mask-errors` its errors are raw, after it they are safe. */
export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: AnswerBody | null;
  /** The values of its `set-cookie` headers. */
  cookies?: readonly string[];
  /** What follows `body`, of an answer in several parts; `bodyText` then says that more is to come. */
  parts?: AsyncIterable<DeferredPart> | undefined;
  /** What Apollo Server wrote, in place of `body`; its content type is among the headers. */
  written?: string | AsyncIterable<string> | undefined;
}

/** An answer's members; its data as an object, or as the JSON text that an executor wrote. */
export interface AnswerBody {
  data?: Record<string, unknown> | null | undefined;
  /** Given in place of `data`. */
  dataText?: string | undefined;
  errors?: readonly (GraphQLError | GraphQLFormattedError)[] | undefined;
  extensions?: Record<string, unknown> | undefined;
  /** Present in the first of several parts. */
  hasNext?: boolean | undefined;
}

/** The body as it is sent. */
export function bodyText({ data, dataText, errors, extensions, hasNext }: AnswerBody): string {
  const members: string[] = [];
  if (errors?.length) members.push(`"errors":${JSON.stringify(errors)}`);
  if (dataText !== undefined) members.push(`"data":${dataText}`);
  else if (data !== undefined) members.push(`"data":${JSON.stringify(data)}`);
  if (extensions && Object.keys(extensions).length > 0)
    members.push(`"extensions":${JSON.stringify(extensions)}`);
  if (hasNext !== undefined) members.push(`"hasNext":${hasNext}`);
  return `{${members.join(',')}}`;
}

/** A part that follows the first, as it is sent. */
export function partText({ incremental, hasNext }: DeferredPart): string {
  const items = incremental.map(({ dataText, path, label, errors }) => {
    const named = label === undefined ? '' : `,"label":${JSON.stringify(label)}`;
    const failed = errors?.length ? `,"errors":${JSON.stringify(errors)}` : '';
    return `{"data":${dataText},"path":${JSON.stringify(path)}${named}${failed}}`;
  });
  return `{${items.length > 0 ? `"incremental":[${items.join(',')}],` : ''}"hasNext":${hasNext}}`;
}

/** Data as an object, for the few who read it: parsed anew each time. */
export function dataOf({ data, dataText }: AnswerBody): Record<string, unknown> | null | undefined {
  return dataText === undefined ? data : JSON.parse(dataText);
}

/** What the stage `parse-validate` leaves: a valid operation, bound to the supergraph it was checked against. */
export interface PreparedOperation {
  document: DocumentNode;
  operation: OperationDefinitionNode;
  supergraph: LoadedSupergraph;
  /** Coerced by their types, with the operation's defaults; what `params` has is as the client sent it. */
  variables: Readonly<Record<string, unknown>>;
  /** Planned and compiled when it is first read, then known: refusals in front of `execute` cost no plan. */
  readonly compiled: CompiledOperation;
  /** What the file's own directives keep from this caller, as a key: `compiled` is without it. Null: nothing. */
  readonly restriction: string | null;
}

/** What the stage `cost-charge` leaves for `cost-settle`. */
export interface Charge {
  readonly cost: OperationCost;
  /** Points: the most that it can cost. */
  readonly requested: number;
  /** Points that one operation may cost; null is no limit. */
  readonly limit: number | null;
  /** Of the caller, the own one first. Empty: nothing was taken. */
  readonly buckets: readonly Bucket[];
  /** Nothing was taken, for lack of points. */
  readonly isRefused?: boolean;
}

export interface Exchange {
  readonly transport: 'http' | 'socket';
  readonly headers: IncomingHttpHeaders;
  readonly clientAddress: string;
  /** `Bearer …`: from the header (or a cookie) over HTTP, from `connection_init` (or the upgrade's cookie) over a socket. */
  authorization: string | undefined;
  readonly http: HttpSide | null;
  readonly startedAt: number;
  /** An answer with `@defer` may come in parts. */
  takesParts: boolean;
  requestId: string;
  params: OperationParams | null;
  token: AccessToken | null;
  viewer: Viewer | null;
  /** What the access directives of a supergraph file may ask of whoever calls; null without a token. */
  caller: Caller | null;
  /** For whom a shared subscription runs: then there is no viewer, and nobody to answer. */
  viewerGroup: ViewerGroup | null;
  /** The name of the plan that is in force for the viewer's organisation, as far as it is known. */
  plan: string | null;
  /** Present when the request means cookies, and may: its tokens travel in them. */
  cookies: { readonly refreshToken: string | null; isAuthorizing: boolean } | null;
  /** Why the token of a cookie is not good. Browsers send it with a `tokenRefresh` as well, which needs none. */
  cookieRefusal: Refusal | null;
  /** Tokens that a credential mutation established for cookies. */
  establishedTokens: EstablishedTokens | null;
  document: DocumentNode | null;
  /** The hash under which the text is kept once it was found valid. */
  registersAs: string | null;
  prepared: PreparedOperation | null;
  /** What the operation may cost, taken and not settled yet; null before it is known, and after the answer. */
  charge: Charge | null;
  /** Present when the client wants its answer explained, and may. */
  explanation: Explanation | null;
  /** What the answer's data was written from (see ExecutionResult); null while nobody kept it. */
  merged: Readonly<Record<string, unknown>> | null;
  /** The member `extensions` of the answer; left out while it is empty. */
  readonly extensions: Record<string, unknown>;
  /** Headers that every answer to this exchange carries (request id, CORS). */
  readonly answerHeaders: Record<string, string>;
  /** Cancelled when the client has gone before its answer; calls of mutations go on all the same. */
  readonly cancellation: Cancellation;
  /** Why the stock executor ran the operation; null: it did not. */
  fallback: string | null;
  /** Called once with the finished answer. */
  readonly onAnswered: ((answer: Answer) => void)[];
}

/** An exchange at the start of its way. Over a socket the params are already there. */
export function createExchange(
  start: Pick<Exchange, 'transport' | 'headers' | 'clientAddress' | 'authorization'> &
    Partial<Pick<Exchange, 'http' | 'params' | 'requestId'>>,
): Exchange {
  return {
    transport: start.transport,
    headers: start.headers,
    clientAddress: start.clientAddress,
    authorization: start.authorization,
    http: start.http ?? null,
    startedAt: performance.now(),
    takesParts: start.http != null && takesParts(start.headers.accept),
    requestId: start.requestId ?? randomUUID(),
    params: start.params ?? null,
    token: null,
    viewer: null,
    caller: null,
    viewerGroup: null,
    plan: null,
    cookies: null,
    cookieRefusal: null,
    establishedTokens: null,
    document: null,
    registersAs: null,
    prepared: null,
    charge: null,
    explanation: null,
    merged: null,
    extensions: {},
    answerHeaders: {},
    cancellation: new Cancellation(),
    fallback: null,
    onAnswered: [],
  };
}

/** The client has gone before its answer. What a mutation has begun goes on: its outcome is somebody's to read. */
export function leave({ prepared, cancellation }: Exchange): void {
  if (prepared?.operation.operation !== 'mutation') cancellation.cancel();
}

/** The valid operation of an exchange that has passed `parse-validate`. */
export function preparedOf(exchange: Exchange): PreparedOperation {
  if (!exchange.prepared) throw new Error('The exchange has not passed parse-validate.');
  return exchange.prepared;
}

/** The params of an exchange that has passed `body-limits`. */
export function paramsOf(exchange: Exchange): OperationParams {
  if (!exchange.params) throw new Error('The exchange has not passed body-limits.');
  return exchange.params;
}

/** A stage's coded "no": becomes one GraphQL error and an HTTP status. The message is shown to clients. */
export class Refusal extends Error {
  readonly code: string;
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly extensions: Record<string, unknown>;

  constructor(
    code: string,
    message: string,
    details: {
      status?: number;
      headers?: Record<string, string>;
      retryable?: boolean;
      retryAfterMs?: number;
    } = {},
  ) {
    super(message);
    this.name = 'Refusal';
    this.code = code;
    this.status = details.status ?? 400;
    this.headers = details.headers ?? {};
    this.extensions = {
      code,
      ...(details.retryable === undefined ? {} : { retryable: details.retryable }),
      ...(details.retryAfterMs === undefined ? {} : { retryAfterMs: details.retryAfterMs }),
    };
  }
}
