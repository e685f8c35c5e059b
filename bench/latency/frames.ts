/**
 * From a mutation of one person to the frame at another's subscription. The instant of the commit is not known outside
 * the database, so it is put between two that are: it lies after the mutation was due and before its answer arrived.
 *
 *   due ──▶ sent ──▶ commit ──▶ answered            sent at a fixed rate, whether or not the earlier ones are answered
 *    │                 └──▶ relay ──▶ hint ──▶ frame
 *    └───────── sinceDueMs ───────────────────▶│     above the latency from the commit on
 *                      answered ───────────────▶│     below it: sinceAnswerMs; negative when the frame was first
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Stops } from '@taskflow/dev/stops';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { createHttpTarget, type HttpTarget } from '../http-target.ts';
import type { Installation } from '../installation.ts';
import { percentile } from '../statistics.ts';
import type { Tenant } from '../tenant.ts';

export interface FrameResult {
  mutationsPerSecond: number;
  mutations: number;
  sinceDueMs: { p50: number; p99: number };
  sinceAnswerMs: { p50: number; p99: number };
}

/** After the last mutation; whatever is missing then is lost, which is not a matter of speed. */
const ARRIVAL_TIMEOUT_MS = 10_000;
/** Before those that count. */
const WARMUP_SECONDS = 1;

const EVENTS = `subscription Events { taskEvents { __typename
  ... on TaskChange { taskId version task { id title status assignee { name } } } } }`;
const CHANGE = `mutation Change($input: TaskUpdateInput!) {
  taskUpdate(input: $input) { success userErrors { code message } task { version } } }`;

interface Event {
  __typename: string;
  taskId?: string;
  version?: number;
}

interface Watch {
  /** When the frame with this change arrived; rejects when it does not, in time. */
  arrivalOf(taskId: string, version: number): Promise<number>;
}

export async function measureFrames(
  { url }: Installation,
  tenant: Tenant,
  { rate, seconds }: { rate: number; seconds: number },
  stops: Stops,
): Promise<FrameResult> {
  const watch = await watchTasks(url, tenant.tokens.colleague, stops);
  const target = await createHttpTarget(url, rate, stops, tenant.tokens.founder);
  const changes = { target, watch, taskIds: tenant.someTaskIds, rate };
  await change({ ...changes, count: Math.ceil(rate * WARMUP_SECONDS) });
  const measured = await change({ ...changes, count: Math.ceil(rate * seconds) });
  const spread = (values: number[]) => ({ p50: percentile(values, 0.5), p99: percentile(values, 0.99) });
  return {
    mutationsPerSecond: rate,
    mutations: measured.length,
    sinceDueMs: spread(measured.map(({ dueAt, frameAt }) => frameAt - dueAt)),
    sinceAnswerMs: spread(measured.map(({ answeredAt, frameAt }) => frameAt - answeredAt)),
  };
}

/** An instant counts from when the mutation was due, so that a sender that falls behind hides nothing. */
async function change(options: {
  target: HttpTarget;
  watch: Watch;
  taskIds: readonly string[];
  rate: number;
  count: number;
}) {
  const { target, watch, taskIds, rate, count } = options;
  const startsAt = performance.now();
  const one = async (n: number) => {
    const dueAt = startsAt + (n * 1000) / rate;
    await sleep(Math.max(0, dueAt - performance.now()));
    const id = taskIds[n % taskIds.length] ?? '';
    const variables = { input: { id, title: `Changed at ${dueAt}` } };
    const text = await target.post(JSON.stringify({ query: CHANGE, variables }));
    const answeredAt = performance.now();
    const { data } = JSON.parse(text);
    if (!data?.taskUpdate?.success) throw new Error(`a mutation was refused: ${text.slice(0, 1_000)}`);
    return { dueAt, answeredAt, frameAt: await watch.arrivalOf(id, data.taskUpdate.task.version) };
  };
  return Promise.all(Array.from({ length: count }, (_, n) => one(n)));
}

async function watchTasks(url: string, token: string, stops: Stops): Promise<Watch> {
  const arrivals = new Map<string, number>();
  const waiting = new Map<string, (at: number) => void>();
  const client = createClient({
    url: url.replace(/^http/, 'ws'),
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${token}` },
    retryAttempts: 0,
  });
  await stops.add('subscription', async () => client.dispose());
  // The first event is a heartbeat: from then on nothing is missed.
  await new Promise<void>((subscribed, reject) => {
    client.subscribe<{ taskEvents: Event }>(
      { query: EVENTS },
      {
        next({ data, errors }) {
          const at = performance.now();
          if (errors || !data) return reject(new Error(`not an event: ${JSON.stringify(errors)}`));
          subscribed();
          const { taskId, version } = data.taskEvents;
          const change = `${taskId} ${version}`;
          arrivals.set(change, at);
          waiting.get(change)?.(at);
        },
        error: (error) => reject(error instanceof Error ? error : new Error(JSON.stringify(error))),
        complete: () => reject(new Error('the subscription has ended')),
      },
    );
  });
  return {
    arrivalOf(taskId, version) {
      const change = `${taskId} ${version}`;
      const arrived = arrivals.get(change);
      if (arrived !== undefined) return Promise.resolve(arrived);
      return new Promise((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new Error(`no frame for a change within ${ARRIVAL_TIMEOUT_MS} ms`)),
          ARRIVAL_TIMEOUT_MS,
        );
        waiting.set(change, (at) => {
          clearTimeout(timer);
          resolve(at);
        });
      });
    },
  };
}
