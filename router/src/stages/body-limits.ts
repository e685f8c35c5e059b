// needs       the HTTP request; skips sockets (their frames are limited by the socket, their params are there)
// adds        params of a well-formed POST (or a stream by GET), which thereby takes the hot path; http.body of what is JSON
// may answer  BAD_REQUEST 400 (no JSON, idempotency key) · 406 (Accept) · 415 (charset) · OPERATION_TOO_LARGE 413

import { type HttpSide, type OperationParams, Refusal } from '../exchange.ts';
import type { RequestStage } from '../pipeline.ts';
import { isStreamByGet, mediaTypeOf } from './cors-csrf.ts';

export interface BodyLimits {
  bodyBytesMax: number;
  /** How deep objects and lists may nest in the body; deeper ones overflow the stack of whoever walks them. */
  bodyDepthMax: number;
}

export function createBodyLimits({ limits }: { limits: BodyLimits }): RequestStage {
  return {
    name: 'body-limits',
    async run(exchange) {
      const { http, headers } = exchange;
      if (!http) return;
      checkIdempotencyKey(headers['idempotency-key']);
      if (http.method === 'GET') {
        const search = searchOf(http, limits);
        if (isStreamByGet(exchange)) exchange.params = wellFormedParams(search);
      }
      if (http.method !== 'POST') return;
      checkAccept(headers.accept);
      // Absence: a body of any other type is not read. Apollo Server says what is wrong with it.
      if (mediaTypeOf(headers['content-type']) !== 'application/json') return;
      checkCharset(headers['content-type']);
      http.body = await jsonOf(http, limits);
      exchange.params = wellFormedParams(http.body);
    },
  };
}

const ANSWERED_TYPES = ['application/graphql-response+json', 'application/json'];
/** What may come of these depends on the operation (stage execute). */
const STREAMED_TYPES = ['text/event-stream', 'multipart/mixed'];

function checkAccept(accept: string | undefined): void {
  if (!accept) return;
  const ranges = accept.split(',').map(mediaTypeOf);
  const isServed = ranges.some(
    (range) =>
      range === '*/*' ||
      range === 'application/*' ||
      ANSWERED_TYPES.includes(range) ||
      STREAMED_TYPES.includes(range),
  );
  if (!isServed) {
    throw new Refusal(
      'BAD_REQUEST',
      `Answers are ${ANSWERED_TYPES.join(' or ')}: the Accept header allows neither.`,
      {
        status: 406,
      },
    );
  }
}

/** As many as the subgraphs keep. A key that nobody heeds would be worse than a refusal. */
const KEY_LENGTH_MAX = 200;

function checkIdempotencyKey(key: string | string[] | undefined): void {
  if (key === undefined || (key.length > 0 && key.length <= KEY_LENGTH_MAX)) return;
  throw new Refusal('BAD_REQUEST', `The header Idempotency-Key must have 1 to ${KEY_LENGTH_MAX} characters.`);
}

function checkCharset(contentType: string | undefined): void {
  const charset = /;\s*charset\s*=\s*"?([^";\s]+)/i.exec(contentType ?? '')?.[1]?.toLowerCase();
  if (!charset || charset === 'utf-8' || charset === 'utf8') return;
  throw new Refusal('BAD_REQUEST', 'The body must be application/json in UTF-8.', { status: 415 });
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

async function jsonOf(http: HttpSide, limits: BodyLimits): Promise<unknown> {
  const body = await http.readBody(limits.bodyBytesMax);
  checkDepth(body, limits.bodyDepthMax);
  try {
    return JSON.parse(utf8.decode(body));
  } catch {
    throw new Refusal('BAD_REQUEST', 'The body is not valid: Invalid JSON.');
  }
}

function searchOf({ search }: HttpSide, { bodyDepthMax }: BodyLimits): Record<string, unknown> {
  const params = new URLSearchParams(search);
  const jsonOf = (name: string): unknown => {
    const text = params.get(name);
    if (!text) return undefined;
    checkDepth(Buffer.from(text), bodyDepthMax);
    try {
      return JSON.parse(text);
    } catch {
      return text; // which is no object, as Apollo Server will say
    }
  };
  return {
    query: params.get('query'),
    operationName: params.get('operationName'),
    variables: jsonOf('variables'),
    extensions: jsonOf('extensions'),
  };
}

/** Null when anything is not as it should be: Apollo Server says what. */
function wellFormedParams(body: unknown): OperationParams | null {
  if (!isRecord(body)) return null;
  const { query, operationName, variables, extensions, documentId } = body;
  if (documentId != null && typeof documentId !== 'string') return null;
  if (operationName != null && typeof operationName !== 'string') return null;
  if (variables != null && !isRecord(variables)) return null;
  if (extensions != null && !isRecord(extensions)) return null;
  const isText = typeof query === 'string' && query !== '';
  if (!isText && !(query == null && (documentId || extensions?.persistedQuery))) return null;
  return {
    query: isText ? query : '',
    operationName: operationName || undefined,
    variables: variables ?? {},
    extensions: extensions ?? {},
    ...(documentId ? { documentId } : {}),
  };
}

/** The four members of a GraphQL request, checked for a socket's message `subscribe`. */
export function checkedParams(request: Record<string, unknown>): OperationParams {
  const { query, operationName, variables, extensions, documentId } = request;
  // graphql-ws has no message without a query: an empty one stands for the hash, or the id, alone there.
  const isHashAlone = !query && isRecord(extensions) && isRecord(extensions.persistedQuery);
  const isId = !query && typeof documentId === 'string' && documentId !== '';
  if (!isHashAlone && !isId && (typeof query !== 'string' || query.trim() === '')) {
    throw new Refusal('BAD_REQUEST', 'The request must contain a non-empty string "query".');
  }
  if (operationName != null && typeof operationName !== 'string') {
    throw new Refusal('BAD_REQUEST', '"operationName" must be a string.');
  }
  if (variables != null && !isRecord(variables)) {
    throw new Refusal('BAD_REQUEST', '"variables" must be an object.');
  }
  if (extensions != null && !isRecord(extensions)) {
    throw new Refusal('BAD_REQUEST', '"extensions" must be an object.');
  }
  return {
    query: isHashAlone || isId ? '' : String(query),
    operationName: operationName || undefined,
    variables: variables ?? {},
    extensions: extensions ?? {},
    ...(isId ? { documentId } : {}),
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const [QUOTE, BACKSLASH, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = Buffer.from('"\\[]{}');

/** Looks at brackets outside strings only, before anything is built of the bytes. */
function checkDepth(json: Buffer, depthMax: number): void {
  let depth = 0;
  let isInString = false;
  for (let at = 0; at < json.length; at++) {
    const byte = json[at];
    if (isInString) {
      if (byte === BACKSLASH) at++;
      else if (byte === QUOTE) isInString = false;
    } else if (byte === QUOTE) isInString = true;
    else if (byte === OPEN_OBJECT || byte === OPEN_LIST) {
      if (++depth > depthMax) {
        throw new Refusal('OPERATION_TOO_LARGE', `The request nests deeper than ${depthMax} levels of JSON.`);
      }
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) depth--;
  }
}
