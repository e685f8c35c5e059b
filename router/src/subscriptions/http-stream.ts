/**
 * A subscription over HTTP: one request, and a response that goes on as long as events do.
 *
 *   prepared exchange ──▶ seat, token ──▶ 200, head ──▶ one part per event · heartbeat after 10 s of silence ──▶ end
 *                          401 · 429 · 503                 (multipart.ts, sse.ts write the parts)
 *
 * The events come by the same delivery as a socket's. What ends a socket with a close code (the token's end, revocation,
 * shutdown, a client that is too slow) ends a stream with an error that carries the cursor of the last event, written and
 * closed at once. A client that leaves closes its connection; the subgraph is told in the same moment.
 *
 * Absence: nobody answers a heartbeat. A client that has vanished without a word keeps its seat until TCP gives it up
 * (a quarter of an hour on Linux) or until its token ends, whichever is first.
 */
import type { ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { GraphQLError } from 'graphql';
import type { StreamKind } from '../accept.ts';
import { type Answer, type Exchange, paramsOf, preparedOf, Refusal } from '../exchange.ts';
import type { Revocation } from '../revocation.ts';
import type { Delivery } from './delivery.ts';
import { multipart } from './multipart.ts';
import { deliverEvents, type FrameSink, type OperationDeps } from './operation.ts';
import type { Seats } from './seats.ts';
import { sse } from './sse.ts';
import { refusalFor, type TokenWatch, watchExpiry, watchToken } from './token-watch.ts';

/** How events, heartbeats and the end are written. Payloads and errors are JSON texts. */
export interface StreamFormat {
  readonly contentType: string;
  /** Written with the head, so that proxies and clients see the stream begin. */
  readonly start: string;
  readonly heartbeat: string;
  event(payload: string, cursor: string | null): string;
  /** The last words; null: the subscription is complete. */
  end(error: string | null): string;
}

export interface HttpStreamsDeps extends OperationDeps {
  readonly revocation: Pick<Revocation, 'check'>;
  readonly seats: Seats;
  readonly isAnonymousAllowed: boolean;
  readonly heartbeatMs: number;
  /** Within this long after `stop()` every stream has ended. */
  readonly drainMs: number;
}

export interface HttpStreams {
  /** Answers a prepared subscription with a stream. The answer is what to send instead; null: the stream has begun. */
  open(exchange: Exchange, response: ServerResponse, kind: StreamKind): Promise<Answer | null>;
  /** Something of an organisation was revoked. */
  recheck(orgId: string): void;
  /** Streams that have not ended. */
  count(): number;
  /** Resolves when every stream has ended. Safe to call twice. */
  stop(): Promise<void>;
}

const FORMATS: Record<StreamKind, StreamFormat> = { multipart, sse };
/** How long a client may take to read what waits and the last words: 1 MB, at the speed of a poor phone. */
const CLOSE_TIMEOUT_MS = 15_000;

interface Stream {
  readonly closed: Promise<void>;
  recheck(orgId: string): void;
  stop(why: Error): void;
  /** Without a word. */
  cut(): void;
}

export function createHttpStreams(deps: HttpStreamsDeps): HttpStreams {
  const streams = new Set<Stream>();
  let isStopping = false;

  function seatOf({ token, cookieRefusal }: Exchange): () => void {
    if (isStopping) throw goingAway(503);
    if (!token) {
      if (deps.isAnonymousAllowed) return () => {};
      throw cookieRefusal ?? new Refusal('UNAUTHENTICATED', NO_TOKEN, { status: 401 });
    }
    const leave = deps.seats.take(token);
    if (!leave) throw new Refusal('RATE_LIMITED', TOO_MANY, { status: 429, retryable: true });
    return leave;
  }

  function begin(exchange: Exchange, response: ServerResponse, kind: StreamKind): void {
    const leaveSeat = seatOf(exchange);
    try {
      if (kind === 'sse') resumeAfterLastEvent(exchange);
      const stream = createStream(deps, exchange, response, FORMATS[kind]);
      streams.add(stream);
      void stream.closed.then(() => {
        streams.delete(stream);
        leaveSeat();
      });
    } catch (error) {
      leaveSeat();
      throw error;
    }
  }

  async function stop(): Promise<void> {
    isStopping = true;
    const all = [...streams];
    // Spread over the first half, one a millisecond at most: their clients shall not reach the next router at once.
    await Promise.all(
      all.map(async (stream, index) => {
        await pause(Math.min(index, (deps.drainMs / 2) * (index / all.length)));
        stream.stop(goingAway(200));
        setTimeout(stream.cut, deps.drainMs / 2).unref();
        await stream.closed;
      }),
    );
  }

  return {
    async open(exchange, response, kind) {
      if (response.destroyed) return null;
      try {
        begin(exchange, response, kind);
        return null;
      } catch (error) {
        return deps.pipeline.respond(exchange, error instanceof Error ? error : new Error(String(error)));
      }
    },
    recheck(orgId) {
      for (const stream of streams) stream.recheck(orgId);
    },
    count: () => streams.size,
    stop,
  };
}

const NO_TOKEN = 'Subscriptions need an access token. Please sign in.';
const TOO_MANY = 'Too many sockets and streams are open for this person.';

function goingAway(status: number): Refusal {
  const sentence =
    'The server is going away: subscribe again, with `after` set to the cursor if there is one.';
  return new Refusal('SUBGRAPH_UNAVAILABLE', sentence, { status, retryable: true });
}

function createStream(
  deps: HttpStreamsDeps,
  exchange: Exchange,
  response: ServerResponse,
  format: StreamFormat,
): Stream {
  const { promise: closed, resolve: close } = Promise.withResolvers<void>();
  const delivery: Delivery = deliverEvents(deps, exchange, sinkOf(response, format));
  const watch = watchOf(deps, exchange, (why) => delivery.stop(asError(why)));
  response.once('close', () => {
    clearInterval(heartbeat);
    watch?.stop();
    delivery.leave();
    close();
  });
  response.writeHead(200, headOf(exchange, format));
  response.write(format.start);
  const heartbeat = setInterval(() => {
    // What waits in front of it says as much.
    if (!response.writableNeedDrain) response.write(format.heartbeat);
  }, deps.heartbeatMs);

  function end(error: string | null): void {
    clearInterval(heartbeat);
    response.end(format.end(error));
    setTimeout(() => response.destroy(), CLOSE_TIMEOUT_MS).unref();
  }
  delivery.run().then(
    () => end(null),
    (error) => end(JSON.stringify(error instanceof GraphQLError ? error.toJSON() : LOST)),
  );
  return {
    closed,
    recheck: (orgId) => watch?.recheck(orgId),
    stop: delivery.stop,
    cut: () => response.destroy(),
  };
}

const LOST = { message: 'The subscription ended.', extensions: { code: 'INTERNAL_SERVER_ERROR' } };

const asError = (why: unknown): Error => (why instanceof Error ? why : new Error(String(why)));

function watchOf(
  { pipeline, revocation }: HttpStreamsDeps,
  { token, caller, authorization, clientAddress }: Exchange,
  ended: (why: unknown) => void,
): TokenWatch | null {
  if (!token) return caller ? watchExpiry(caller.expiresAt, ended) : null;
  // It was good when it was authenticated; what was revoked since then has nobody else to tell.
  const revoked = revocation.check(token);
  if (revoked) throw refusalFor(revoked);
  return watchToken({ pipeline, revocation, token, authorization, address: clientAddress, ended });
}

function headOf({ answerHeaders }: Exchange, { contentType }: StreamFormat): Record<string, string> {
  return {
    ...answerHeaders,
    'content-type': contentType,
    'cache-control': 'no-store, no-transform',
    // nginx would collect parts until its buffer is full.
    'x-accel-buffering': 'no',
    // The next request of whoever has read the end goes to a router that stays.
    connection: 'close',
  };
}

/** The response as a delivery writes to it: one part after the other, as fast as the client takes them. */
function sinkOf(response: ServerResponse, format: StreamFormat): FrameSink {
  return {
    write: (payload, cursor) =>
      new Promise((resolve) => {
        if (response.destroyed || response.write(format.event(payload, cursor))) resolve();
        else response.once('drain', resolve);
      }),
    bufferedBytes: () => response.writableLength,
  };
}

/**
 * An EventSource comes back by itself, with the id of the last event it got: our cursor. The subscription goes on after
 * it where its root field takes `after` from a variable.
 */
function resumeAfterLastEvent(exchange: Exchange): void {
  const cursor = exchange.headers['last-event-id'];
  if (typeof cursor !== 'string' || cursor === '') return;
  const [root] = preparedOf(exchange).operation.selectionSet.selections;
  if (root?.kind !== 'Field') return;
  const after = root.arguments?.find(({ name }) => name.value === 'after')?.value;
  if (after?.kind !== 'Variable') return;
  const params = paramsOf(exchange);
  exchange.params = { ...params, variables: { ...params.variables, [after.name.value]: cursor } };
}
