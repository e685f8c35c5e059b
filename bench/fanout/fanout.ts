/**
 * One change, many listeners: the same subscription of the same kind of viewer, answered once for all (`@shared`), beside the
 * same subscription with one field more that is each viewer's own, which is executed for every listener.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Stops } from '@taskflow/dev/stops';
import { createHttpTarget } from '../http-target.ts';
import type { Installation } from '../installation.ts';
import { median } from '../statistics.ts';
import type { Tenant } from '../tenant.ts';

export interface Fanout {
  name: 'once for all' | 'once for each';
  listeners: number;
  /** Of one event, until the last of them has it; the median of the events. */
  listenersPerSecond: number;
  /** From when the change was sent. */
  p50Ms: number;
  p99Ms: number;
  /** What the process of router and services grew by for each connection, buffers and kernel's share left out. */
  bytesPerConnection: number;
}

const SHARED = `subscription { taskEvents { __typename
  ... on TaskChange { cursor taskId version kind task { id title status priority assignee { name } } } } }`;
/** What a viewer may do is read for each of them. */
const OWN = SHARED.replace('priority', 'priority viewerCanUpdate');
const CHANGE = `mutation Change($input: TaskUpdateInput!) {
  taskUpdate(input: $input) { success userErrors { code message } } }`;

/** Changes that are not counted, and those that are. */
const WARMUP = 3;
const EVENTS = 10;

interface Arrival {
  p50Ms: number;
  p99Ms: number;
  lastMs: number;
}

export async function measureFanout(
  { url }: Installation,
  tenant: Tenant,
  { name, listeners }: Pick<Fanout, 'name' | 'listeners'>,
  stops: Stops,
): Promise<Fanout> {
  const before = memory();
  const query = name === 'once for all' ? SHARED : OWN;
  const process = await startListeners(
    { url, token: tenant.tokens.colleague, query, count: listeners },
    stops,
  );
  const bytesPerConnection = Math.max(0, memory() - before) / listeners;
  const target = await createHttpTarget(url, 1, stops, tenant.tokens.founder);
  const arrivals: Arrival[] = [];
  for (let n = 0; n < WARMUP + EVENTS; n++) {
    stops.checkpoint();
    const arrival = process.next();
    const input = { id: tenant.someTaskIds[0], title: `at ${performance.timeOrigin + performance.now()}` };
    const answer = await target.post(JSON.stringify({ query: CHANGE, variables: { input } }));
    if (!answer.includes('"success":true'))
      throw new Error(`a mutation was refused: ${answer.slice(0, 1_000)}`);
    const arrived = await arrival;
    if (n >= WARMUP) arrivals.push(arrived);
  }
  process.stop();
  return {
    ...{ name, listeners, bytesPerConnection },
    listenersPerSecond: median(arrivals.map(({ lastMs }) => (listeners / lastMs) * 1_000)),
    p50Ms: median(arrivals.map(({ p50Ms }) => p50Ms)),
    p99Ms: median(arrivals.map(({ p99Ms }) => p99Ms)),
  };
}

/** After a collection, where the process was started with --expose-gc. */
function memory(): number {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function startListeners(
  asked: { url: string; token: string; query: string; count: number },
  stops: Stops,
) {
  const socketUrl = asked.url.replace(/^http/, 'ws');
  const script = join(import.meta.dirname, 'listeners.ts');
  const child = spawn(process.execPath, [script, JSON.stringify({ ...asked, url: socketUrl })], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const stop = () => void child.kill();
  await stops.add('listeners', async () => stop());
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => {
    const { value, done } = await lines.next();
    if (done) throw new Error('the listeners have ended');
    return value;
  };
  if ((await next()) !== 'ready') throw new Error('the listeners are not ready');
  return { stop, next: async (): Promise<Arrival> => JSON.parse(await next()) };
}
