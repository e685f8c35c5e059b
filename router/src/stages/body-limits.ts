// needs       the HTTP request; skips sockets (their frames are limited by the socket, their params are there)
// adds        params: query, operationName, variables, extensions
// may answer  BAD_REQUEST 400 (malformed, batch, idempotency key) · 405 (method) · 406 (Accept) · 415 (content type) · OPERATION_TOO_LARGE 413

import { type HttpSide, type OperationParams, Refusal } from '../exchange.ts';
import type { RequestStage } from '../pipeline.ts';
import { mediaTypeOf } from './cors-csrf.ts';

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
      checkAccept(headers.accept);
      checkIdempotencyKey(headers['idempotency-key']);
      if (http.method === 'GET') {
        exchange.params = paramsOfQueryString(http.url.searchParams, limits);
      } else if (http.method === 'POST') {
        checkContentType(headers['content-type']);
        exchange.params = await paramsOfBody(http, limits);
      } else {
        throw new Refusal('BAD_REQUEST', 'Send GraphQL by POST, or a query or subscription by GET.', {
          status: 405,
          headers: { allow: 'GET, POST' },
        });
      }
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

function checkContentType(contentType: string | undefined): void {
  const charset = /;\s*charset\s*=\s*"?([^";\s]+)/i.exec(contentType ?? '')?.[1]?.toLowerCase();
  if (
    mediaTypeOf(contentType) === 'application/json' &&
    (!charset || charset === 'utf-8' || charset === 'utf8')
  ) {
    return;
  }
  throw new Refusal('BAD_REQUEST', 'The body must be application/json in UTF-8.', { status: 415 });
}

async function paramsOfBody(http: HttpSide, limits: BodyLimits): Promise<OperationParams> {
  const body = await http.readBody(limits.bodyBytesMax);
  checkDepth(body, limits.bodyDepthMax);
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    throw new Refusal('BAD_REQUEST', 'The body is not valid JSON.');
  }
  if (Array.isArray(parsed)) {
    throw new Refusal('BAD_REQUEST', 'Batched operations are not accepted: send one operation per request.');
  }
  if (!isRecord(parsed)) throw new Refusal('BAD_REQUEST', 'The body must be a JSON object.');
  return checkedParams(parsed);
}

function paramsOfQueryString(search: URLSearchParams, limits: BodyLimits): OperationParams {
  const jsonOf = (name: string): unknown => {
    const text = search.get(name);
    if (!text) return undefined;
    checkDepth(Buffer.from(text), limits.bodyDepthMax);
    try {
      return JSON.parse(text);
    } catch {
      throw new Refusal('BAD_REQUEST', `The query parameter "${name}" is not valid JSON.`);
    }
  };
  return checkedParams({
    query: search.get('query') ?? undefined,
    operationName: search.get('operationName') || undefined,
    variables: jsonOf('variables'),
    extensions: jsonOf('extensions'),
  });
}

/** Checks the four members of a GraphQL request; sockets use it for the payload of `subscribe` too. */
export function checkedParams(request: Record<string, unknown>): OperationParams {
  const { query, operationName, variables, extensions } = request;
  // graphql-ws has no message without a query: an empty one stands for the hash alone there.
  const isHashAlone = !query && isRecord(extensions) && isRecord(extensions.persistedQuery);
  if (!isHashAlone && (typeof query !== 'string' || query.trim() === '')) {
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
    query: isHashAlone ? '' : String(query),
    operationName: operationName || undefined,
    variables: variables ?? {},
    extensions: extensions ?? {},
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
