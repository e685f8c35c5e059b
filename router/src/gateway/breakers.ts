// One circuit breaker and one bulkhead for each subgraph.
//
//   closed ──half of at least CALLS_MIN calls of the last WINDOW_MS failed──▶ open ──openMs──▶ half-open
//     ▲                                                            ▲                  │ one call
//     └───────────────────────────── it was answered ──────────────┼──────────────────┤
//                                                                  └─── it failed ────┘
//
// Failures are lost and refused connections, deadlines, 502 to 504 and what is no GraphQL; errors within an answer are the
// subgraph's word, and a client that leaves says nothing about it. The bulkhead bounds what waits for one subgraph, so
// that a hanging one takes no memory from its neighbours: beyond it a call is refused at once.

import type { Log } from '@taskflow/kit/log';
import CircuitBreaker from 'opossum';
import { CallFailure } from './call-failure.ts';
import type { SubgraphAnswer, SubgraphCall, Transport } from './subgraph-calls.ts';

export interface BreakerLimits {
  /** Share of failed calls that opens it; 0: it never opens. */
  failuresPercent: number;
  /** How long it then stays open before a call is tried. */
  openMs: number;
  /** Calls to one subgraph that are under way or wait for a connection. */
  callsMax: number;
}

export interface BreakerStatus {
  state: 'closed' | 'open' | 'half-open';
  /** Calls under way, those that wait for a connection included. */
  calls: number;
}

export interface Breakers {
  run(call: SubgraphCall, next: Transport): Promise<SubgraphAnswer>;
  /** By subgraph; those that were called at least once. */
  status(): Record<string, BreakerStatus>;
  stop(): void;
}

/** As long as the default deadline of a call: when the first calls to a hanging subgraph are given up, no success is left in it. */
const WINDOW_MS = 5_000;
const BUCKETS = 10;
/** Below this a share says nothing. */
const CALLS_MIN = 20;
/** A full bulkhead empties as calls are answered: a moment, not an outage. */
const FULL_RETRY_AFTER_MS = 1_000;

export function createBreakers({ limits, log }: { limits: BreakerLimits; log: Log }): Breakers {
  const guards = new Map<string, Guard>();
  return {
    run(call, next) {
      let guard = guards.get(call.subgraph);
      if (!guard) {
        guard = new Guard(call.subgraph, limits, log);
        guards.set(call.subgraph, guard);
      }
      return guard.run(call, next);
    },
    status: () => Object.fromEntries([...guards].map(([name, guard]) => [name, guard.status()])),
    stop() {
      for (const guard of guards.values()) guard.stop();
    },
  };
}

class Guard {
  readonly #limits: BreakerLimits;
  readonly #breaker: CircuitBreaker<[SubgraphCall, Transport], SubgraphAnswer>;
  #calls = 0;
  #openedAt = 0;

  constructor(subgraph: string, limits: BreakerLimits, log: Log) {
    this.#limits = limits;
    this.#breaker = new CircuitBreaker((call: SubgraphCall, next: Transport) => next(call), {
      enabled: limits.failuresPercent > 0,
      errorThresholdPercentage: limits.failuresPercent,
      volumeThreshold: CALLS_MIN,
      resetTimeout: limits.openMs,
      rollingCountTimeout: WINDOW_MS,
      rollingCountBuckets: BUCKETS,
      // The call's deadline ends it.
      timeout: false,
      rollingPercentilesEnabled: false,
      enableSnapshots: false,
      errorFilter: (error: unknown) => !(error instanceof CallFailure) || error.kind === 'cancelled',
    });
    this.#breaker.on('open', () => {
      this.#openedAt = performance.now();
      log.warn({ subgraph, openMs: limits.openMs }, 'the circuit breaker of a subgraph has opened');
    });
    this.#breaker.on('close', () => log.info({ subgraph }, 'the circuit breaker of a subgraph has closed'));
  }

  async run(call: SubgraphCall, next: Transport): Promise<SubgraphAnswer> {
    if (this.#calls >= this.#limits.callsMax) {
      throw new CallFailure('unsent', 'too many calls wait for this subgraph', {
        retryAfterMs: FULL_RETRY_AFTER_MS,
        isExpected: true,
      });
    }
    this.#calls++;
    try {
      return await this.#breaker.fire(call, next);
    } catch (error) {
      throw (error as { code?: unknown }).code === 'EOPENBREAKER' ? this.#refusal() : error;
    } finally {
      this.#calls--;
    }
  }

  #refusal(): CallFailure {
    const leftMs = this.#openedAt + this.#limits.openMs - performance.now();
    return new CallFailure('unsent', 'the circuit breaker is open', {
      retryAfterMs: Math.max(1, Math.ceil(leftMs)),
      isExpected: true,
    });
  }

  status(): BreakerStatus {
    const state = this.#breaker.opened ? 'open' : this.#breaker.halfOpen ? 'half-open' : 'closed';
    return { state, calls: this.#calls };
  }

  stop(): void {
    this.#breaker.shutdown();
  }
}
