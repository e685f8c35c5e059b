/**
 * Health of one process, for three readers:
 *
 *   /health/live   the supervisor: 200 as long as the process answers
 *   /health/ready  the load balancer: 503 while starting, while an essential part is down, and from the moment
 *                  shutdown begins; the body says which part
 *   /health        people and dashboards: always 200, healthy | degraded | unhealthy, each part with its latency
 *
 * Parts are asked in parallel, each with a deadline; readers who ask at the same time share one round. What went
 * wrong stays in the log: an answer names a part, never a host or a message.
 */
import type { Log } from './log.ts';

export interface Probe {
  /** Resolves when the part works. */
  ask(): Promise<unknown>;
  /** Without an essential part the process cannot serve; without another one it is degraded. */
  essential: boolean;
}

export type Probes = Readonly<Record<string, Probe | (() => Promise<unknown>)>>;

export interface PartHealth {
  status: 'up' | 'down';
  essential: boolean;
  latencyMs: number;
}

export interface HealthReport {
  status: 'healthy' | 'degraded' | 'unhealthy';
  parts: Record<string, PartHealth>;
}

export interface Readiness {
  ready: boolean;
  /** Why not: `starting`, `stopping`, or the names of the parts that are down. */
  reasons: string[];
}

export interface Health {
  report(): Promise<HealthReport>;
  readiness(phase: 'starting' | 'serving' | 'stopping'): Promise<Readiness>;
}

/** Shorter than the 1 s timeout that orchestrators use by default, so that they read an answer. */
const PROBE_DEADLINE_MS = 800;

/** A bare function is an essential probe. */
export function createHealth(probes: Probes, log: Log, deadlineMs: number = PROBE_DEADLINE_MS): Health {
  const parts = Object.entries(probes).map(([name, probe]) => ({
    name,
    ...(typeof probe === 'function' ? { ask: probe, essential: true } : probe),
  }));
  const lastStatus = new Map<string, PartHealth['status']>();
  let round: Promise<HealthReport> | null = null;

  function noteChange(name: string, status: PartHealth['status'], error?: unknown): void {
    const before = lastStatus.get(name) ?? 'up';
    lastStatus.set(name, status);
    if (before === status) return;
    if (status === 'down') log.warn({ part: name, err: error }, 'a part is down');
    else log.info({ part: name }, 'a part is up again');
  }

  async function askPart({ name, ask, essential }: (typeof parts)[number]): Promise<[string, PartHealth]> {
    const startedAt = performance.now();
    const end = (status: PartHealth['status'], error?: unknown): [string, PartHealth] => {
      noteChange(name, status, error);
      return [name, { status, essential, latencyMs: Math.round((performance.now() - startedAt) * 10) / 10 }];
    };
    try {
      await within(ask, deadlineMs);
      return end('up');
    } catch (error) {
      return end('down', error);
    }
  }

  async function askAll(): Promise<HealthReport> {
    const answers = await Promise.all(parts.map(askPart));
    const down = answers.map(([, part]) => part).filter((part) => part.status === 'down');
    const isUnhealthy = down.some((part) => part.essential);
    const status = down.length === 0 ? 'healthy' : isUnhealthy ? 'unhealthy' : 'degraded';
    return { status, parts: Object.fromEntries(answers) };
  }

  function report(): Promise<HealthReport> {
    round ??= askAll().finally(() => {
      round = null;
    });
    return round;
  }

  return {
    report,
    async readiness(phase) {
      if (phase !== 'serving') return { ready: false, reasons: [phase] };
      const { parts: answers } = await report();
      const reasons = Object.entries(answers)
        .filter(([, part]) => part.essential && part.status === 'down')
        .map(([name]) => name);
      return { ready: reasons.length === 0, reasons };
    },
  };
}

async function within(ask: () => Promise<unknown>, deadlineMs: number): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${deadlineMs} ms`)), deadlineMs);
  try {
    await Promise.race([ask(), promise]);
  } finally {
    clearTimeout(timer);
  }
}
