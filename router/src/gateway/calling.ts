// Everything around the calls to subgraphs, put together: stages, transports, what they share, and what /health tells of it.

import type { Live } from '@taskflow/kit/live';
import type { Log } from '@taskflow/kit/log';
import type { RedisConnections } from '@taskflow/kit/redis';
import { type AnswerCache, createAnswerCache } from '../caching/answer-cache.ts';
import { createLocalVersions, createTenantVersions } from '../caching/versions.ts';
import type { RouterConfig } from '../config.ts';
import { callStages } from '../pipeline.ts';
import { createEpochs, type Epochs } from '../scope.ts';
import { type BreakerStatus, createBreakers } from './breakers.ts';
import { createFlights, type Flights } from './flights.ts';
import { createHttpTransport } from './http-transport.ts';
import { createLocalTransport, type LocalSubgraphs } from './local-transport.ts';
import { createOperationFlights, type OperationFlights } from './operation-flights.ts';
import { type CallSubgraph, createSubgraphCalls, type Transport } from './subgraph-calls.ts';

export interface Calling {
  readonly call: CallSubgraph;
  readonly epochs: Epochs;
  /** Null: nothing is kept. */
  readonly cache: AnswerCache | null;
  /** Null: each executes for itself. */
  readonly operations: OperationFlights | null;
  status(): CallingStatus;
  close(): Promise<void>;
}

export interface CallingStatus {
  /** By subgraph; those that were called at least once. */
  breakers: Record<string, BreakerStatus>;
  /** Those in flight, and how many calls and whole operations were spared by waiting for another's. */
  reads: ReturnType<Flights['status']> & { sharedOperations: number };
}

/** Below the 65 s at which subgraphs close an idle connection. */
const KEEP_ALIVE_MS = 30_000;
/** An answer larger than this is a bug of a subgraph, not a page of anything. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

export function createCalling(options: {
  config: RouterConfig;
  /** Those of this process, by name: called without HTTP. */
  local?: LocalSubgraphs | undefined;
  /** Where other replicas find what is kept here, and what tells that it has changed; absent: neither. */
  redis?: RedisConnections | null;
  live?: Live | null;
  log: Log;
}): Calling {
  const { config, local, redis = null, live = null, log } = options;
  const epochs = createEpochs();
  const isSigned = config.keyRings !== null;
  const flights = createFlights({ epochs, isSigned });
  const { subgraphConnectionsMax: connectionsMax, subgraphWaitingMax: waitingMax } = config;
  const breakers = createBreakers({
    limits: { ...config.breaker, callsMax: connectionsMax + waitingMax },
    log,
  });
  const http = createHttpTransport({
    connectionsMax,
    keepAliveMs: KEEP_ALIVE_MS,
    answerBytesMax: ANSWER_BYTES_MAX,
  });
  const inProcess = local ? createLocalTransport(local) : null;
  const transport: Transport = (call) => (inProcess?.has(call) ? inProcess : http).send(call);
  const versions =
    redis && live ? createTenantVersions({ redis, live, epochs, log }) : createLocalVersions(epochs);
  const cache =
    config.cache &&
    createAnswerCache({
      ...{ ...config.cache, redis, versions, log },
      isSigned,
    });
  const stages = callStages({ config, cache: cache ?? undefined, flights, breakers });
  const operations = config.isDeduplicating ? createOperationFlights({ epochs, isSigned }) : null;
  return {
    call: createSubgraphCalls({ stages, transport, epochs, log }),
    epochs,
    cache,
    operations,
    status: () => ({
      breakers: breakers.status(),
      reads: { ...flights.status(), sharedOperations: operations?.shared() ?? 0 },
    }),
    async close() {
      breakers.stop();
      versions.stop();
      cache?.stop();
      await http.close();
    },
  };
}
