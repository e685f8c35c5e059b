// Queries in flight: the same operation with the same variables, asked again by the same viewer meanwhile, is executed once.
//
// One level above flights.ts, by the same scope and epoch; what it spares beyond the calls is to parse, merge and write the
// answer once for each that asked. Only an answer that is whole is shared: with an error in it, or in parts, each that
// waited executes for itself, and its calls find what is in flight below. The execution is nobody's own: it goes on until
// everybody who waits for it has left.

import type { Cancellation } from '@taskflow/kit/cancellation';
import { type Exchange, preparedOf } from '../exchange.ts';
import type { CompiledOperation, ExecutionResult, OperationRun } from '../execution/compiled-operation.ts';
import { type Epochs, scopeKeyOf, tenantOf } from '../scope.ts';
import { toldOf } from './flights.ts';

export interface OperationFlights {
  /** Runs the prepared operation, or waits for the run of somebody who is the same to it. */
  execute(run: OperationRun): Promise<ExecutionResult>;
  /** Operations that waited for the run of another, since the start. */
  shared(): number;
}

interface Flight {
  readonly result: Promise<ExecutionResult>;
  /** The first one's: held by those that joined. */
  readonly cancellation: Cancellation;
}

/** `isSigned` as in flights.ts. */
export function createOperationFlights(options: { epochs: Epochs; isSigned: boolean }): OperationFlights {
  const { epochs, isSigned } = options;
  let shared = 0;
  const byOperation = new WeakMap<CompiledOperation, Map<string, Flight>>();

  function keyOf(exchange: Exchange, { variables, takesParts }: OperationRun): string {
    const epoch = epochs.of(tenantOf(exchange));
    const told = isSigned ? toldOf(exchange) : '';
    return `${epoch}\n${scopeKeyOf(exchange)}\n${told}\n${takesParts}\n${JSON.stringify(variables)}`;
  }

  function flightsOf(compiled: CompiledOperation): Map<string, Flight> {
    let flights = byOperation.get(compiled);
    if (!flights) {
      flights = new Map();
      byOperation.set(compiled, flights);
    }
    return flights;
  }

  function lead(key: string, flights: Map<string, Flight>, compiled: CompiledOperation, run: OperationRun) {
    const result = compiled.execute(run);
    const flight = { result, cancellation: run.exchange.cancellation };
    flights.set(key, flight);
    const end = () => {
      if (flights.get(key) === flight) flights.delete(key);
    };
    result.then(end, end);
    return result;
  }

  async function join({ result, cancellation }: Flight, compiled: CompiledOperation, run: OperationRun) {
    const own = run.exchange.cancellation;
    let isHeld = true;
    shared++;
    const letGo = () => {
      if (isHeld) cancellation.release();
      isHeld = false;
    };
    cancellation.hold();
    own.onCancel(letGo);
    try {
      const answer = await result;
      return isWhole(answer) ? answer : await compiled.execute(run);
    } finally {
      own.offCancel(letGo);
      letGo();
    }
  }

  return {
    shared: () => shared,
    execute(run) {
      const { exchange } = run;
      const { compiled } = preparedOf(exchange);
      if (!isShareable(exchange, compiled)) return compiled.execute(run);
      const flights = flightsOf(compiled);
      const key = keyOf(exchange, run);
      const flight = flights.get(key);
      const canJoin = flight && !flight.cancellation.isCancelled;
      return canJoin ? join(flight, compiled, run) : lead(key, flights, compiled, run);
    },
  };
}

/** Callers of other issuers are told apart by what they may see, which no scope says; what is explained explains itself. */
function isShareable(
  { prepared, viewer, caller, explanation }: Exchange,
  { kind }: CompiledOperation,
): boolean {
  if (kind !== 'query' || prepared?.restriction !== null || explanation !== null) return false;
  return viewer !== null || caller === null;
}

function isWhole({ errors, deferred }: ExecutionResult): boolean {
  return errors.length === 0 && deferred === null;
}
