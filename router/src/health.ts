// Health of the router: its supergraph, the subgraphs behind it, and Redis.
//
// Ready means "send me traffic": the supergraph is loaded, every subgraph has been up at least once since the start, and
// no shutdown has begun, and no operator has taken this replica out (drained). A subgraph that is lost later makes the answer degraded, not unready: taking every router out
// of service because notifications are down would turn a part's outage into everybody's. A router that reaches none of
// them is cut off, and unready.

import { createHealth, type HealthReport, type Probes } from '@taskflow/kit/health';
import type { Log } from '@taskflow/kit/log';
import type { RedisConnections } from '@taskflow/kit/redis';
import type { Dispatcher } from 'undici';
import type { CacheStats } from './caching/answer-cache.ts';
import type { Calling, CallingStatus } from './gateway/calling.ts';
import type { Supergraph, SupergraphStatus } from './gateway/supergraph.ts';

export interface RouterHealthReport extends HealthReport {
  /** The version in use, and what was refused and why; null before the start. */
  supergraph: SupergraphStatus | null;
  /** Operations that the stock executor ran since this supergraph was loaded, by the reason why. */
  fallbacks: Record<string, number>;
  /** Circuit breakers by subgraph, and reads in flight. */
  calls: CallingStatus;
  /** What is kept of subgraphs' answers; null: nothing is. */
  cache: CacheStats | null;
}

export interface RouterHealth {
  report(): Promise<RouterHealthReport>;
  readiness(
    phase: 'serving' | 'drained' | 'stopping',
  ): Promise<{ ready: boolean; reasons: string[]; degraded: string[] }>;
}

export interface RouterHealthDeps {
  supergraph: Supergraph;
  /** Whose `/health/ready` is asked; none for a foreign supergraph, which promises no such path. */
  subgraphUrls: Readonly<Record<string, string>>;
  redis: RedisConnections | null;
  dispatcher: Dispatcher;
  calling: Pick<Calling, 'status' | 'cache'>;
  log: Log;
}

export function createRouterHealth(deps: RouterHealthDeps): RouterHealth {
  const health = createHealth(probesOf(deps), deps.log);
  const everUp = new Set<string>();

  async function report(): Promise<RouterHealthReport> {
    const supergraph = supergraphStatus(deps.supergraph);
    const fallbacks = supergraph ? Object.fromEntries(deps.supergraph.current().fallbacks) : {};
    const { calling } = deps;
    const cache = calling.cache?.stats() ?? null;
    const told = { ...(await health.report()), supergraph, fallbacks, calls: calling.status(), cache };
    for (const [name, part] of Object.entries(told.parts)) if (part.status === 'up') everUp.add(name);
    return isCutOff(told) ? { ...told, status: 'unhealthy' } : told;
  }

  function isCutOff({ parts }: HealthReport): boolean {
    const subgraphs = Object.keys(deps.subgraphUrls);
    return subgraphs.length > 0 && subgraphs.every((name) => parts[name]?.status === 'down');
  }

  return {
    report,
    async readiness(phase) {
      if (phase !== 'serving') return { ready: false, reasons: [phase], degraded: [] };
      const told = await report();
      const { parts } = told;
      const down = Object.entries(parts).filter(([, part]) => part.status === 'down');
      const blocks = ([name, { essential }]: (typeof down)[number]) =>
        essential || (name in deps.subgraphUrls && (!everUp.has(name) || isCutOff(told)));
      const reasons = down.filter(blocks).map(([name]) => name);
      const degraded = down.map(([name]) => name).filter((name) => !reasons.includes(name));
      return { ready: reasons.length === 0, reasons, degraded };
    },
  };
}

function supergraphStatus(supergraph: Supergraph): SupergraphStatus | null {
  try {
    return supergraph.status();
  } catch {
    return null;
  }
}

function probesOf({ supergraph, subgraphUrls, redis, dispatcher }: RouterHealthDeps): Probes {
  const subgraphs = Object.entries(subgraphUrls).map(([name, url]) => [
    name,
    { essential: false, ask: () => askReady(dispatcher, url) },
  ]);
  return {
    supergraph: async () => supergraph.current(),
    ...Object.fromEntries(subgraphs),
    ...(redis ? { redis: { essential: false, ask: () => redis.commands.ping() } } : {}),
  };
}

/** Just over the deadline that a part is given, so that no question outlives it for long. */
const ASK_TIMEOUT_MS = 1_000;

async function askReady(dispatcher: Dispatcher, url: string): Promise<void> {
  const response = await dispatcher.request({
    origin: new URL(url).origin,
    path: '/health/ready',
    method: 'GET',
    signal: AbortSignal.timeout(ASK_TIMEOUT_MS),
  });
  await response.body.dump();
  if (response.statusCode !== 200) throw new Error(`/health/ready answered ${response.statusCode}`);
}
