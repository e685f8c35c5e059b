/**
 * One client's socket.
 *
 *   opened ──connection_init──▶ connected (viewer known) ──▶ closed
 *      4408 · 4401 · 4403 · 4429     4401 at the token's end · 4403 on revocation · 1001 on shutdown
 *
 * A connected socket has a seat (bounded per person and per API key), a timer at the end of its token, and at most
 * `operationsMax` operations that have not ended. An API key is verified again and again instead; when its rights have
 * changed the socket is closed with 1001, for its client to connect again. Closing ends them all at once, upstream included.
 */
import type { IncomingMessage } from 'node:http';
import type { WebSocket } from 'ws';
import type { Cookies } from '../cookies.ts';
import { createExchange, type Exchange, Refusal } from '../exchange.ts';
import type { Revocation, RevocationReason } from '../revocation.ts';
import type { AccessToken } from '../tokens.ts';
import { CLOSE, type CloseCode, closeReason } from './close-codes.ts';
import { iterated } from './delivery.ts';
import {
  type FrameSink,
  type OperationDeps,
  type Refused,
  refuse,
  type Started,
  type SubscribeMessage,
  startOperation,
} from './operation.ts';
import type { Seats } from './seats.ts';
import { RIGHTS_CHANGED, type TokenWatch, watchExpiry, watchToken } from './token-watch.ts';

export interface SessionDeps extends OperationDeps {
  readonly revocation: Pick<Revocation, 'check'>;
  readonly seats: Seats;
  /** Of operations, over all sockets. */
  readonly operationSeats: Seats;
  /** Sockets without a token are let in, and their subgraphs get no signed context. */
  readonly isAnonymousAllowed: boolean;
  /** Null: off. */
  readonly cookies: Cookies | null;
  readonly operationsMax: number;
  /** The client's address; behind trusted proxies that is not the peer's. */
  addressOf(request: IncomingMessage): string;
}

export type Iteration = AsyncGenerator<never, void, void>;

export interface Session {
  /** Authenticates `connection_init`. False when the socket was closed instead; never rejects. */
  connect(params: Readonly<Record<string, unknown>> | undefined): Promise<boolean>;
  /** Starts an operation; never rejects. */
  start(
    id: string,
    message: SubscribeMessage,
  ): Promise<Refused | (Started & { readonly iteration: Iteration })>;
  /** Something of an organisation was revoked: is it this one? */
  recheck(orgId: string): void;
  /** Ends the operations and closes the socket. */
  close(code: CloseCode, reason: string): void;
  /** Gives back what the session holds, once the socket is gone. Safe to call twice. */
  release(): void;
  /** Operations that have not ended; those of them that are queries and mutations. */
  status(): { operations: number; answering: number };
}

export function createSession(deps: SessionDeps, socket: WebSocket, request: IncomingMessage): Session {
  const iterations = new Set<Iteration>();
  const starting = new Set<string>();
  let operations = 0;
  let answering = 0;
  let authorization: string | undefined;
  let isOfCookie = false;
  let watch: TokenWatch | null = null;
  let leaveSeat: (() => void) | null = null;
  let holder: AccessToken | null = null;
  let isReleased = false;

  function release(): void {
    isReleased = true;
    watch?.stop();
    leaveSeat?.();
    leaveSeat = null;
    for (const iteration of iterations) void iteration.return();
    iterations.clear();
  }

  function close(code: CloseCode, reason: string): void {
    socket.close(code, closeReason(reason));
    release();
  }

  function closeFor(reason: RevocationReason): void {
    if (reason === 'SESSION_REVOKED') close(CLOSE.forbidden, 'SESSION_REVOKED: the session was ended.');
    else close(CLOSE.unauthenticated, 'TOKEN_EXPIRED: refresh the access token and connect again.');
  }

  const address = deps.addressOf(request);
  const tokenEnded = (why: unknown) => refuseConnection(why, closeFor, close);

  /** Without accounts: a token of another issuer, if there is one, ends the socket when it ends. */
  async function connectCaller(): Promise<boolean> {
    try {
      const caller = await deps.pipeline.verifyCaller(authorization);
      if (isReleased) return false;
      if (caller) watch = watchExpiry(caller.expiresAt, tokenEnded);
      return true;
    } catch (error) {
      tokenEnded(error);
      return false;
    }
  }

  function newExchange(): Exchange {
    const exchange = createExchange({
      transport: 'socket',
      headers: headersOf(request),
      clientAddress: address,
      authorization,
    });
    if (isOfCookie) exchange.cookies = { refreshToken: null, isAuthorizing: true };
    return exchange;
  }

  /** The sink of one operation; it takes nothing more once the client has left the operation. */
  function sinkOf(id: string, hasLeft: () => boolean): FrameSink {
    const head = `{"id":${JSON.stringify(id)},"type":"next","payload":`;
    return {
      write: (payload) =>
        new Promise((resolve) => {
          if (hasLeft() || socket.readyState !== socket.OPEN) resolve();
          else socket.send(`${head}${payload}}`, () => resolve());
        }),
      bufferedBytes: () => socket.bufferedAmount,
    };
  }

  return {
    release,
    close,
    status: () => ({ operations, answering }),
    async connect(params) {
      const given = params?.authorization ?? params?.Authorization;
      const ofCookie = deps.cookies?.read(request.headers).accessToken;
      isOfCookie = given === undefined && ofCookie != null;
      authorization = isOfCookie ? `Bearer ${ofCookie}` : typeof given === 'string' ? given : undefined;
      let token: AccessToken | null;
      try {
        token = await deps.pipeline.verifyToken(authorization, address);
      } catch (error) {
        tokenEnded(error);
        return false;
      }
      if (isReleased) return false;
      if (!token) {
        if (deps.isAnonymousAllowed) return connectCaller();
        close(CLOSE.unauthenticated, 'UNAUTHENTICATED: connection_init carries no authorization.');
        return false;
      }
      const revoked = deps.revocation.check(token);
      if (revoked) {
        closeFor(revoked);
        return false;
      }
      leaveSeat = deps.seats.take(token);
      if (!leaveSeat) {
        close(CLOSE.tooMany, 'RATE_LIMITED: too many sockets are open for this person or organisation.');
        return false;
      }
      holder = token;
      watch = watchToken({ ...deps, token, authorization, address, ended: tokenEnded });
      return true;
    },
    async start(id, message) {
      const exchange = newExchange();
      if (operations >= deps.operationsMax) {
        const sentence = `A socket carries at most ${deps.operationsMax} operations at a time.`;
        return refuse(deps.pipeline, exchange, new Refusal('RATE_LIMITED', sentence, { retryable: true }));
      }
      const leaveOperationSeat = holder ? deps.operationSeats.take(holder) : () => {};
      if (!leaveOperationSeat) {
        const sentence = 'Too many operations are open for this person or organisation.';
        return refuse(deps.pipeline, exchange, new Refusal('RATE_LIMITED', sentence, { retryable: true }));
      }
      // graphql-ws would mix up an operation that is still starting with its successor of the same id.
      if (starting.has(id)) close(CLOSE.duplicateId, `Subscriber for ${id} is still starting`);
      starting.add(id);
      operations++;
      answering++;
      let hasLeft = false;
      const started = await startOperation(
        deps,
        exchange,
        message,
        sinkOf(id, () => hasLeft),
      );
      starting.delete(id);
      if (started.kind === 'refused' || started.operation === 'subscription') answering--;
      if (started.kind === 'refused') {
        operations--;
        leaveOperationSeat();
        return started;
      }
      const iteration = iterated(started.delivery, {
        left: () => {
          hasLeft = true;
        },
        settled: () => {
          operations--;
          leaveOperationSeat();
          iterations.delete(iteration);
          if (started.operation !== 'subscription') answering--;
        },
      });
      iterations.add(iteration);
      if (isReleased) void iteration.return();
      return { ...started, iteration };
    },
    recheck: (orgId) => watch?.recheck(orgId),
  };
}

function refuseConnection(
  error: unknown,
  closeFor: (reason: RevocationReason) => void,
  close: (code: CloseCode, reason: string) => void,
): void {
  const code = error instanceof Refusal ? error.code : 'INTERNAL_SERVER_ERROR';
  if (error === RIGHTS_CHANGED) close(CLOSE.goingAway, RIGHTS_CHANGED.message);
  else if (code === 'TOKEN_EXPIRED' || code === 'SESSION_REVOKED') closeFor(code);
  else if (code === 'UNAUTHENTICATED')
    close(CLOSE.unauthenticated, 'UNAUTHENTICATED: the token is not valid.');
  else close(CLOSE.tryAgainLater, `${code}: the token could not be verified now.`);
}

/** Of the upgrade request, what describes the client. The rest belongs to that one request, not to operations. */
function headersOf({ headers }: IncomingMessage): IncomingMessage['headers'] {
  const kept: IncomingMessage['headers'] = {};
  for (const name of ['user-agent', 'accept-language', 'origin'] as const) {
    if (headers[name] !== undefined) kept[name] = headers[name];
  }
  return kept;
}
