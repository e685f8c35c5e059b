// Reads in flight, and who waits for each.
//
//   first of its key ─▶ call ─▶ answer as an object for the first; its text, parsed anew, for each that joined
//   same key meanwhile ─▶ joins: no call
//
// The key says everything that the answer may depend on: subgraph, scope of the caller, epoch of the tenant, what else
// travels in the signed context and may change an answer, and the exact bytes. Nobody joins across a mutation (epoch), and
// nothing is remembered: the flight ends with its answer. The signed context, the request id and the deadline are the first
// caller's. A caller who leaves, or whose own deadline comes sooner, leaves alone; the call is cancelled when nobody waits.
// Who had more time than the first when it was given up asks again. Text is shared, never objects: data of other
// subgraphs is merged into an answer in place.

import { Cancellation } from '@taskflow/kit/cancellation';
import type { Exchange } from '../exchange.ts';
import { type Epochs, scopeKeyOf, tenantOf } from '../scope.ts';
import { CallFailure } from './call-failure.ts';
import type { SubgraphAnswer, SubgraphCall, Transport } from './subgraph-calls.ts';

export interface Flights {
  run(call: SubgraphCall, next: Transport): Promise<SubgraphAnswer>;
  /** Calls that are waited for, and how many were spared since the start. */
  status(): { inFlight: number; shared: number };
}

interface Flight {
  readonly call: SubgraphCall;
  readonly cancellation: Cancellation;
  /** Of those that joined: each is told the text, or the failure. */
  joined: Passenger[] | null;
  /** The first caller and those that joined, less those that left. */
  waiting: number;
}

interface Passenger {
  land(text: string): void;
  fail(error: unknown): void;
}

/** `isSigned`: calls carry a signed context, which tells the subgraph more than the bytes. */
export function createFlights({ epochs, isSigned }: { epochs: Epochs; isSigned: boolean }): Flights {
  const flights = new Map<string, Flight>();
  let shared = 0;

  async function lead(key: string, call: SubgraphCall, next: Transport): Promise<SubgraphAnswer> {
    const own = call.cancellation;
    const flight: Flight = { call, cancellation: new Cancellation(), joined: null, waiting: 1 };
    const leave = () => left(key, flight);
    call.cancellation = flight.cancellation;
    flights.set(key, flight);
    own.onCancel(leave);
    try {
      const answer = await next(call);
      ended(key, flight);
      if (flight.joined) {
        const text = call.answerText ?? JSON.stringify(answer);
        for (const passenger of flight.joined) passenger.land(text);
      }
      return answer;
    } catch (error) {
      ended(key, flight);
      for (const passenger of flight.joined ?? []) passenger.fail(error);
      throw error;
    } finally {
      own.offCancel(leave);
    }
  }

  /** Nobody else may join a flight that is over, or that was given up. */
  function ended(key: string, flight: Flight): void {
    if (flights.get(key) === flight) flights.delete(key);
  }

  function left(key: string, flight: Flight): void {
    flight.waiting--;
    if (flight.waiting > 0) return;
    ended(key, flight);
    flight.cancellation.cancel();
  }

  function join(key: string, flight: Flight, call: SubgraphCall): Promise<SubgraphAnswer> {
    shared++;
    flight.waiting++;
    return new Promise((resolve, reject) => {
      let isSettled = false;
      const settle = (): boolean => {
        if (isSettled) return false;
        isSettled = true;
        clearTimeout(timer);
        call.cancellation.offCancel(cancelled);
        return true;
      };
      const giveUp = (failure: CallFailure) => {
        if (!settle()) return;
        left(key, flight);
        reject(failure);
      };
      const cancelled = () => giveUp(new CallFailure('cancelled', 'nobody waits for the answer any more'));
      // The first caller's deadline is the call's own; only one that comes sooner needs watching.
      const leftMs = call.deadlineAt - performance.now();
      const timer =
        call.deadlineAt < flight.call.deadlineAt
          ? setTimeout(() => giveUp(new CallFailure('late', 'no answer before the deadline')), leftMs)
          : undefined;
      flight.joined ??= [];
      flight.joined.push({
        land(text) {
          if (settle()) resolve(JSON.parse(text) as SubgraphAnswer);
        },
        fail(error) {
          if (settle()) reject(error);
        },
      });
      call.cancellation.onCancel(cancelled);
    });
  }

  async function run(call: SubgraphCall, next: Transport): Promise<SubgraphAnswer> {
    const key = keyOf(call);
    for (;;) {
      const flight = flights.get(key);
      if (!flight) return lead(key, call, next);
      try {
        return await join(key, flight, call);
      } catch (error) {
        // Given up by, or for, somebody who had less time than this caller has.
        const wasGivenUp = error instanceof CallFailure && error.kind === 'late';
        if (!wasGivenUp || performance.now() + AGAIN_MIN_MS > call.deadlineAt) throw error;
      }
    }
  }

  /** In the order of what differs first. A body holds no raw line break, so that no two keys run into each other. */
  function keyOf({ subgraph, exchange, request }: SubgraphCall): string {
    const told = isSigned ? toldOf(exchange) : '';
    return `${subgraph}\n${epochs.of(tenantOf(exchange))}\n${scopeKeyOf(exchange)}\n${told}\n${request.body}`;
  }

  return {
    run: (call, next) => (isShareable(call) ? run(call, next) : next(call)),
    status: () => ({ inFlight: flights.size, shared }),
  };
}

/** With less than this left, another attempt would only be late once more. */
const AGAIN_MIN_MS = 10;

/** Reads of queries and of subscription events. What a mutation reads afterwards may follow from what it established. */
function isShareable({ request, exchange }: SubgraphCall): boolean {
  return request.isRead && exchange.prepared?.operation.operation !== 'mutation';
}

/** What else of a request travels in the signed context, and is not only for the log. */
function toldOf({ headers, clientAddress }: Exchange): string {
  const { 'accept-language': language, 'taskflow-min-sync-id': minSyncId } = headers;
  if (language === undefined && minSyncId === undefined) return clientAddress;
  return JSON.stringify([clientAddress, language, minSyncId]);
}
