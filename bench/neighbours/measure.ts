/**
 * What a failing subgraph does to those who do not need it. One router, two loads at the same time: tasks alone (measured)
 * and tasks with the names of their people, whose subgraph is healthy or fails, in turns.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { freePorts } from '@taskflow/dev/ports';
import type { Stops } from '@taskflow/dev/stops';
import { startChild } from '../children.ts';
import { createHttpTarget, type HttpTarget } from '../http-target.ts';
import type { Options } from '../part.ts';
import { startWorld } from '../router/worlds.ts';
import { median, percentile } from '../statistics.ts';
import { FAULTS, type Fault, type Faulty, startFaulty } from './faulty.ts';

export interface Load {
  requestsPerSecond: number;
  p99Ms: number;
}

export interface NeighboursResult {
  rounds: number;
  seconds: number;
  faults: {
    fault: Fault;
    healthy: Load;
    faulty: Load;
    /** Median over the rounds of p99 failing ÷ p99 healthy of the same round. */
    p99Ratio: number;
    /** Of the operations that need it: those that had their answer without waiting for it. */
    refusedShare: number;
  }[];
}

/** The window of the router's breaker and a little: a subgraph that fails is found out by then, one that is back is in use. */
const SETTLE_S = 6;
/** The router tries it again after this: long enough that a round meets it open or trying, as in operation. */
const VARIABLES = { ROUTER_SUBGRAPH_TIMEOUT_MS: '1000', ROUTER_BREAKER_OPEN_MS: '1000' };
const AT_ONCE_MS = 500;
const CONNECTIONS = 16;
const ALONE = JSON.stringify({ query: '{ tasks(first: 20) { nodes { id key title status } } }' });
const TOGETHER = JSON.stringify({ query: '{ tasks(first: 20) { nodes { id assignee { name } } } }' });

export async function measureNeighbours(context: {
  dir: string;
  options: Options;
  stops: Stops;
  say(text: string): void;
}): Promise<NeighboursResult> {
  const { dir, stops, say } = context;
  const { rounds, seconds } = context.options;
  const { world } = await startWorld('taskflow', { dir, jwks: '{"keys":[]}', stops });
  const faulty = await startFaulty(world.urls.user ?? '');
  await stops.add('the failing subgraph', () => faulty.stop());
  const sdl = await readFile(world.file, 'utf8');
  await writeFile(world.file, sdl.replaceAll(world.urls.user ?? '', faulty.url));
  const [port = 0] = await freePorts(1);
  const args = ['router/src/main.ts', '--supergraph', world.file, '--port', String(port), '--anonymous'];
  // What is asked is the same each time: it has to be asked all the same.
  const variables = { ...VARIABLES, ROUTER_DEDUPE: 'off', ROUTER_CACHE_BYTES_MAX: '0' };
  await startChild({ name: 'router', args, ready: /listens on http/, stops, variables });
  const url = `http://127.0.0.1:${port}/graphql`;
  const targets = {
    alone: await createHttpTarget(url, CONNECTIONS, stops),
    together: await createHttpTarget(url, CONNECTIONS, stops),
  };
  await round(targets, seconds);
  const faults: NeighboursResult['faults'] = [];
  for (const fault of FAULTS) {
    say(`neighbours: ${fault}`);
    faults.push(await measureFault(fault, faulty, targets, { rounds, seconds }));
  }
  return { rounds, seconds, faults };
}

type Targets = Record<'alone' | 'together', HttpTarget>;

async function measureFault(
  fault: Fault,
  faulty: Faulty,
  targets: Targets,
  { rounds, seconds }: { rounds: number; seconds: number },
) {
  const healthy: Round[] = [];
  const failing: Round[] = [];
  for (let n = 0; n < rounds; n++) {
    faulty.become(null);
    await round(targets, SETTLE_S);
    healthy.push(await round(targets, seconds));
    faulty.become(fault);
    await round(targets, SETTLE_S);
    failing.push(await round(targets, seconds));
  }
  faulty.become(null);
  const loadOf = (of: Round[]): Load => ({
    requestsPerSecond: median(of.map(({ requestsPerSecond }) => requestsPerSecond)),
    p99Ms: median(of.map(({ p99Ms }) => p99Ms)),
  });
  return {
    fault,
    healthy: loadOf(healthy),
    faulty: loadOf(failing),
    p99Ratio: median(failing.map(({ p99Ms }, n) => p99Ms / (healthy[n]?.p99Ms ?? p99Ms))),
    refusedShare: median(failing.map(({ atOnce }) => atOnce)),
  };
}

interface Round extends Load {
  /** Share of the operations beside that were answered at once. */
  atOnce: number;
}

async function round({ alone, together }: Targets, seconds: number): Promise<Round> {
  const endsAt = performance.now() + seconds * 1000;
  const startedAt = performance.now();
  const [measured, beside] = await Promise.all([
    drive(() => alone.post(ALONE), endsAt),
    drive(() => together.post(TOGETHER), endsAt),
  ]);
  return {
    requestsPerSecond: (measured.length / (performance.now() - startedAt)) * 1000,
    p99Ms: percentile(measured, 0.99),
    atOnce: beside.filter((ms) => ms < AT_ONCE_MS).length / beside.length,
  };
}

/**
 * The latencies of CONNECTIONS senders. Each sends at fixed times, so that refusals, which are quick, make no more load than
 * answers: what is measured is waiting, not throughput.
 */
async function drive(send: () => Promise<unknown>, endsAt: number): Promise<number[]> {
  const latencies: number[] = [];
  const sender = async () => {
    while (performance.now() < endsAt) {
      const at = performance.now();
      await send();
      latencies.push(performance.now() - at);
      const restMs = INTERVAL_MS - (performance.now() - at);
      if (restMs > 0) await new Promise((resolve) => setTimeout(resolve, restMs));
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, sender));
  return latencies;
}

const INTERVAL_MS = 100;
