/**
 * Closed-loop load: a fixed number of senders, each of which sends again when its answer is there. Contenders are
 * measured in interleaved rounds, in alternating order, so that what else happens on the machine meets all of them:
 *
 *   warm A · warm B · A B · B A · A B …        a contender's figure is the median of its rounds
 */
import { cpuMsOf } from './process-use.ts';
import { median, percentile } from './statistics.ts';

export interface Contender {
  name: string;
  /** One request and its complete answer. Throws when the answer is not the expected one: that ends the run. */
  send(): Promise<unknown>;
  /** The process whose CPU time is told; absent when it is shared with others. */
  pid?: number;
}

export interface Schedule {
  concurrency: number;
  rounds: number;
  /** Length of one round. */
  seconds: number;
  /** Before the first round, for each contender: compilers and caches. */
  warmupSeconds: number;
}

export interface Figures {
  name: string;
  requestsPerSecond: number;
  /** The slowest and the fastest round: how far to trust the median. */
  slowestRound: number;
  fastestRound: number;
  p50Ms: number;
  p99Ms: number;
  /** CPU time of the contender's process for one request; null where it cannot be told. */
  cpuMs: number | null;
  /** In all rounds together. */
  requests: number;
}

interface Round {
  requestsPerSecond: number;
  p50Ms: number;
  p99Ms: number;
  cpuMs: number | null;
  requests: number;
}

/** Measures the contenders side by side; the answer is in their order. */
export async function compare(contenders: readonly Contender[], schedule: Schedule): Promise<Figures[]> {
  const { concurrency, seconds, warmupSeconds } = schedule;
  const rounds = new Map<string, Round[]>(contenders.map(({ name }) => [name, []]));
  for (const { send } of contenders) await drive(send, concurrency, warmupSeconds);
  for (let round = 0; round < schedule.rounds; round++) {
    const order = round % 2 === 0 ? contenders : contenders.toReversed();
    for (const contender of order) {
      rounds.get(contender.name)?.push(await measure(contender, concurrency, seconds));
    }
  }
  return contenders.map(({ name }) => figuresOf(name, rounds.get(name) ?? []));
}

async function measure({ send, pid }: Contender, concurrency: number, seconds: number): Promise<Round> {
  const cpuBefore = pid === undefined ? null : cpuMsOf(pid);
  const { latenciesMs, tookMs } = await drive(send, concurrency, seconds);
  const cpuAfter = pid === undefined ? null : cpuMsOf(pid);
  const requests = latenciesMs.length;
  return {
    requests,
    requestsPerSecond: (requests / tookMs) * 1000,
    p50Ms: percentile(latenciesMs, 0.5),
    p99Ms: percentile(latenciesMs, 0.99),
    cpuMs: cpuBefore === null || cpuAfter === null ? null : (cpuAfter - cpuBefore) / requests,
  };
}

/** Each sender ends with the answer that arrives after the time is up, so that no request is left under way. */
async function drive(send: () => Promise<unknown>, concurrency: number, seconds: number) {
  const latenciesMs: number[] = [];
  const startedAt = performance.now();
  const endsAt = startedAt + seconds * 1000;
  let hasFailed = false;
  async function sender(): Promise<void> {
    for (let at = performance.now(); at < endsAt && !hasFailed; at = performance.now()) {
      await send();
      latenciesMs.push(performance.now() - at);
    }
  }
  try {
    await Promise.all(Array.from({ length: concurrency }, sender));
  } catch (error) {
    hasFailed = true;
    throw error;
  }
  return { latenciesMs, tookMs: performance.now() - startedAt };
}

function figuresOf(name: string, rounds: readonly Round[]): Figures {
  const rates = rounds.map((round) => round.requestsPerSecond);
  const cpus = rounds.map((round) => round.cpuMs).filter((cpuMs) => cpuMs !== null);
  return {
    name,
    requestsPerSecond: median(rates),
    slowestRound: Math.min(...rates),
    fastestRound: Math.max(...rates),
    p50Ms: median(rounds.map((round) => round.p50Ms)),
    p99Ms: median(rounds.map((round) => round.p99Ms)),
    cpuMs: cpus.length > 0 ? median(cpus) : null,
    requests: rounds.reduce((sum, round) => sum + round.requests, 0),
  };
}
