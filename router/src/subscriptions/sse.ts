/**
 * A subscription as server-sent events: the "distinct connections mode" of GraphQL over SSE (graphql-sse's PROTOCOL.md).
 *
 *   : · event: next, id: <cursor>, data: <result> · … · event: complete
 *
 * An error that ends the stream is a result, too: the protocol has no other word for it. `complete` carries an empty
 * `data`, without which an EventSource would not tell its listeners.
 */
import type { StreamFormat } from './http-stream.ts';

export const SSE_TYPE = 'text/event-stream; charset=utf-8';

/** What a browser sends back as Last-Event-ID without changing it. */
const ID = /^[\x21-\x7e]+$/;

export const sse: StreamFormat = {
  contentType: SSE_TYPE,
  start: ':\n\n',
  heartbeat: ':\n\n',
  event: (payload, cursor) =>
    `event: next\n${cursor !== null && ID.test(cursor) ? `id: ${cursor}\n` : ''}data: ${payload}\n\n`,
  end: (error) =>
    `${error === null ? '' : sse.event(`{"errors":[${error}]}`, null)}event: complete\ndata:\n\n`,
};
