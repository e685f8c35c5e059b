/**
 * A subscription as multipart/mixed: Apollo's protocol of 1.0, byte for byte as Apollo's own router writes it.
 *
 *   --graphql · { payload } · --graphql · {} · --graphql · … · { payload: null, errors } · --graphql--
 *
 * Each boundary is written right behind its part: a client hands a part on when it has seen the boundary after it.
 */
import type { StreamFormat } from './http-stream.ts';

const part = (json: string) => `\r\ncontent-type: application/json\r\n\r\n${json}\r\n--graphql`;
const HEARTBEAT = part('{}');

export const multipart: StreamFormat = {
  contentType: 'multipart/mixed;boundary="graphql";subscriptionSpec=1.0',
  // No heartbeat yet: urql takes a first part without data for the end.
  start: '\r\n--graphql',
  heartbeat: HEARTBEAT,
  event: (payload) => part(`{"payload":${payload}}`),
  end: (error) => `${error === null ? '' : part(`{"payload":null,"errors":[${error}]}`)}--\r\n`,
};
