// needs       the exchange as it arrived
// adds        requestId (the client's, when it is a plain token; ours otherwise), answer header x-request-id
// may answer  nothing

import type { RequestStage } from '../pipeline.ts';

/** Long enough to be unique, short and plain enough for a log line and a header. */
const REQUEST_ID = /^[A-Za-z0-9._-]{8,64}$/;

export function createRequestId(): RequestStage {
  return {
    name: 'request-id',
    run(exchange) {
      const given = exchange.headers['x-request-id'];
      // A socket's operations share the upgrade's headers: each keeps an id of its own.
      if (exchange.transport === 'http' && typeof given === 'string' && REQUEST_ID.test(given)) {
        exchange.requestId = given;
      }
      exchange.answerHeaders['x-request-id'] = exchange.requestId;
    },
  };
}
