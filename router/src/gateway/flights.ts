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
  /** Those that joined: each is told the text, or the failure. */
  joined: Passenger[] | null;
}

interface Passenger {
  land(text: string): void;
  fail(error: unknown): void;
}

/** `isSigned`: calls carry a signed context, which tells the subgraph more than the bytes. */
export function createFlights({ epochs, isSigned }: { epochs: Epochs; isSigned: boolean }): Flights {
  // By who asks whom, then by what is asked: a body may be long, and is not copied into a key.
  const flightsOf = new Map<string, Map<string, Flight>>();
  let shared = 0;

  async function lead(
    flights: Map<string, Flight>,
    call: SubgraphCall,
    next: Transport,
  ): Promise<SubgraphAnswer> {
    const { body } = call.request;
    const flight: Flight = { call, joined: null };
    flights.set(body, flight);
    try {
      const answer = await next(call);
      if (flights.get(body) === flight) flights.delete(body);
      if (flight.joined) {
        const text = call.answerText ?? JSON.stringify(answer);
        for (const passenger of flight.joined) passenger.land(text);
      }
      return answer;
    } catch (error) {
      if (flights.get(body) === flight) flights.delete(body);
      for (const passenger of flight.joined ?? []) passenger.fail(error);
      throw error;
    }
  }

  /** Holds the first caller's cancellation: who leaves leaves alone, and the last one cancels the call. */
  function join(flight: Flight, call: SubgraphCall): Promise<SubgraphAnswer> {
    const { cancellation } = flight.call;
    shared++;
    cancellation.hold();
    return new Promise((resolve, reject) => {
      let isSettled = false;
      const settle = (): boolean => {
        if (isSettled) return false;
        isSettled = true;
        clearTimeout(timer);
        call.cancellation.offCancel(cancelled);
        cancellation.release();
        return true;
      };
      const giveUp = (failure: CallFailure) => {
        if (settle()) reject(failure);
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
      let flights = flightsOf.get(key);
      if (!flights) {
        flights = new Map();
        flightsOf.set(key, flights);
      }
      const flight = flights.get(call.request.body);
      try {
        if (!flight || flight.call.cancellation.isCancelled) return await lead(flights, call, next);
        return await join(flight, call);
      } catch (error) {
        // Given up for somebody who had less time than this caller has.
        const wasGivenUp = flight && error instanceof CallFailure && error.kind === 'late';
        if (!wasGivenUp || performance.now() + AGAIN_MIN_MS > call.deadlineAt) throw error;
      } finally {
        if (flights.size === 0 && flightsOf.get(key) === flights) flightsOf.delete(key);
      }
    }
  }

  /** Who asks whom, when. */
  function keyOf({ subgraph, exchange }: SubgraphCall): string {
    const told = isSigned ? toldOf(exchange) : '';
    return `${subgraph}\n${epochs.of(tenantOf(exchange))}\n${scopeKeyOf(exchange)}\n${told}`;
  }

  return {
    run: (call, next) => (isShareable(call) ? run(call, next) : next(call)),
    status() {
      let inFlight = 0;
      for (const flights of flightsOf.values()) inFlight += flights.size;
      return { inFlight, shared };
    },
  };
}

/** With less than this left, another attempt would only be late once more. */
const AGAIN_MIN_MS = 10;

/** Reads of queries and of subscription events. What a mutation reads afterwards may follow from what it established. */
function isShareable({ request, exchange }: SubgraphCall): boolean {
  return request.isRead && exchange.prepared?.operation.operation !== 'mutation';
}

/** What else of a request travels in the signed context, and is not only for the log. */
export function toldOf({ headers, clientAddress }: Exchange): string {
  const { 'accept-language': language, 'taskflow-min-sync-id': minSyncId } = headers;
  if (language === undefined && minSyncId === undefined) return clientAddress;
  return JSON.stringify([clientAddress, language, minSyncId]);
}
