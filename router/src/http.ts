// The HTTP edge: a request becomes an Exchange, an Answer becomes bytes.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline as pipe, Readable } from 'node:stream';
import { readBody } from '@taskflow/kit/service-wire';
import { jsonTypeOf, streamOf, takesJson, takesParts } from './accept.ts';
import {
  type Answer,
  type AnswerBody,
  bodyText,
  createExchange,
  type Exchange,
  preparedOf,
  Refusal,
} from './exchange.ts';
import { sendParts } from './incremental.ts';
import type { Pipeline } from './pipeline.ts';
import type { SubscriptionSocket } from './subscriptions/socket.ts';
import { SSE_TYPE, sse } from './subscriptions/sse.ts';

/** The exchange of one HTTP request. `proxyHops` says how many X-Forwarded-For entries are our own proxies'. */
export function exchangeOf(request: IncomingMessage, proxyHops: number): Exchange {
  return createExchange({
    transport: 'http',
    headers: request.headers,
    clientAddress: clientAddressOf(request, proxyHops),
    authorization: request.headers.authorization,
    http: {
      method: request.method ?? 'GET',
      search: targetOf(request).search,
      body: undefined,
      readBody: (bytesMax) => bodyOf(request, bytesMax),
    },
  });
}

/** Path and query (with its question mark); whatever the client wrote as host is ignored. */
export function targetOf({ url = '/' }: IncomingMessage): { pathname: string; search: string } {
  if (!url.startsWith('/')) return absoluteTarget(url);
  const at = url.indexOf('?');
  return at === -1 ? { pathname: url, search: '' } : { pathname: url.slice(0, at), search: url.slice(at) };
}

/** Proxies may send the whole address (RFC 9112, 3.2.2). */
function absoluteTarget(url: string): { pathname: string; search: string } {
  const { pathname, search } = URL.parse(url) ?? new URL('http://router/');
  return { pathname, search };
}

/**
 * Each trusted proxy appends the address it was called from: the last entry is the nearest proxy's word. With fewer
 * entries than hops somebody came round the proxies, and the socket's own address is what is known.
 */
export function clientAddressOf({ headers, socket }: IncomingMessage, proxyHops: number): string {
  const forwarded = String(headers['x-forwarded-for'] ?? '').split(',');
  const told = proxyHops > 0 ? forwarded.at(-proxyHops)?.trim() : undefined;
  return told || socket.remoteAddress || '';
}

/** The exact bytes of the body; refused when there are too many, or when the sender leaves in the middle. */
async function bodyOf(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const body = await readBody(request, bytesMax).catch(() => {
    throw new Refusal('BAD_REQUEST', 'The request ended early.');
  });
  if (body) return body;
  throw new Refusal('OPERATION_TOO_LARGE', `The request body is larger than ${bytesMax} bytes.`, {
    status: 413,
  });
}

/** Null: the response is the stream of a subscription, and has begun. */
export async function answerTo(
  exchange: Exchange,
  response: ServerResponse,
  { pipeline, streams }: { pipeline: Pipeline; streams: Pick<SubscriptionSocket, 'openStream'> },
): Promise<Answer | null> {
  const refusal = await pipeline.prepare(exchange);
  if (refusal) return refusal;
  const isSubscription = preparedOf(exchange).operation.operation === 'subscription';
  const kind = isSubscription ? streamOf(exchange.headers.accept) : null;
  return kind ? streams.openStream(exchange, response, kind) : pipeline.execute(exchange);
}

/** Writes an answer. `isLast`: the connection is closed after it. Rejects when a part of it fails. */
export async function send(
  request: IncomingMessage,
  response: ServerResponse,
  answer: Answer,
  isLast: boolean,
): Promise<void> {
  if (response.destroyed || response.headersSent) return;
  // A body that was not read to its end would be taken for the next request on this connection.
  if (isLast || !request.complete) response.setHeader('connection', 'close');
  const headers = { ...answer.headers, ...(answer.cookies ? { 'set-cookie': [...answer.cookies] } : {}) };
  if (answer.written !== undefined) {
    write(response, answer.status, headers, answer.written);
    return;
  }
  if (!answer.body) {
    response.writeHead(answer.status, headers).end();
    return;
  }
  const { accept } = request.headers;
  if (answer.parts || (!takesJson(accept) && takesParts(accept))) {
    return sendParts(response, { status: answer.status, headers, body: answer.body }, answer.parts);
  }
  const { status, contentType, text } = writtenFor(accept, answer.status, answer.body);
  const length = Buffer.byteLength(text);
  response.writeHead(status, { ...headers, 'content-type': contentType, 'content-length': length });
  // As many bytes as characters: all are ASCII, which need no conversion.
  response.end(text, length === text.length ? 'latin1' : 'utf8');
}

/**
 * A body as the client takes it. To clients of GraphQL over SSE an answer is one event, and so is a refusal of what they
 * ask (400); a refusal of who asks, or how often, keeps its status, by which they know when to come back.
 */
function writtenFor(accept: string | undefined, status: number, body: AnswerBody) {
  const text = bodyText(body);
  if (status <= 400 && !takesJson(accept) && streamOf(accept) === 'sse') {
    return { status: 200, contentType: SSE_TYPE, text: `${sse.event(text, null)}${sse.end(null)}` };
  }
  return { status, contentType: `${jsonTypeOf(accept)}; charset=utf-8`, text };
}

/** Text of Apollo Server's, or its chunks as they come. */
function write(
  response: ServerResponse,
  status: number,
  headers: Record<string, string | string[]>,
  written: NonNullable<Answer['written']>,
): void {
  if (typeof written === 'string') {
    response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(written) }).end(written);
    return;
  }
  response.writeHead(status, headers);
  // A client that has left ends the source; a source that fails cuts the client.
  pipe(Readable.from(written), response, () => {});
}
