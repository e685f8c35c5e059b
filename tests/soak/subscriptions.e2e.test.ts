/**
 * Whoever comes and goes leaves nothing behind: heap, handles, subscriptions at the subgraphs and channels of Redis are as before.
 *
 *   npx vitest run tests/soak                                     800 subscriptions, as in CI
 *   SOAK_SUBSCRIPTIONS=100000 npx vitest run tests/soak         an hour's worth
 *
 * Router and subgraphs are apart, with sockets between them, in the process of the test: what it holds at the end is what leaked.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createLog } from '@taskflow/kit/log';
import { createRedis, type RedisConnections } from '@taskflow/kit/redis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import WebSocket from 'ws';
import { aMember, anOrg, aTask, type TestPerson } from '../kit/seed.ts';
import { aSupergraph, type TestSupergraph } from '../kit/supergraph.ts';
import { until } from '../kit/until.ts';

const COUNT = Number(process.env.SOAK_SUBSCRIPTIONS ?? 800);
/** Caches fill, code is compiled, buffers grow: all of that before the first look. */
const WARM_UP = 300;
/** Subscriptions after which everybody signs in anew. */
const ROUND = 5_000;
/**
 * What the heap may differ by between two looks, and by subscription: a subgraph remembers for a minute what it was asked, lest it be
 * asked again (kit/replays.ts). A feed that stays behind is 3 kB at least.
 */
const NOISE_BYTES = 4_000_000;
const BYTES_EACH = 500;

const SHARED =
  'subscription { taskEvents { __typename ... on StreamHeartbeat { cursor } ... on TaskChange { cursor task { title } } } }';
const OWN = SHARED.replace('title', 'title viewerCanUpdate');
const RESUMING = SHARED.replace('taskEvents', 'taskEvents(after: "AFTER")');
const INBOX = 'subscription { notificationEvents { __typename ... on StreamHeartbeat { cursor } } }';

/** Nothing is refused; and no cache, which listens to what changes in an organisation that it knows something of. */
const ENV = {
  ...{ ROUTER_VIEWER_REQUESTS_PER_S: '1000000', ROUTER_ADDRESS_REQUESTS_PER_S: '1000000' },
  ...{ ROUTER_VIEWER_POINTS_PER_S: '1000000', ROUTER_ORGANIZATION_POINTS_PER_S: '1000000' },
  ROUTER_CACHE_BYTES_MAX: '0',
};

let supergraph: TestSupergraph;
let redis: RedisConnections;
let people: TestPerson[];
setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

beforeAll(async () => {
  supergraph = await aSupergraph({ isApart: true, env: ENV });
  redis = createRedis({
    url: supergraph.env.REDIS_URL ?? '',
    prefix: supergraph.redisPrefix,
    log: createLog({ process: 'test', level: 'silent' }),
  });
  const ada = await anOrg(supergraph.client);
  people = [ada, await aMember(ada, 'ORG_ADMIN', 'Bob'), await aMember(ada)];
}, 60_000);
afterAll(() => redis?.close());

/** Sockets end with their token, and a long run is longer than ten minutes. */
async function signIn(person: TestPerson): Promise<void> {
  const input = { email: person.email, password: person.password };
  const { login } = await supergraph.client.ask<{ login: { accessToken: string } }>(
    'mutation Login($input: LoginInput!) { login(input: $input) { success accessToken } }',
    { input },
  );
  person.accessToken = login.accessToken;
}

/** A client that remembers nothing of what is over: the one of the test kit keeps every frame. */
async function connect({ accessToken }: TestPerson) {
  const socket = new WebSocket(supergraph.url.replace('http', 'ws'), 'graphql-transport-ws');
  const waiting = new Map<string, () => void>();
  const send = (message: object) => socket.send(JSON.stringify(message));
  const closed = new Promise((resolve) => socket.once('close', resolve));
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.once('open', () =>
      send({ type: 'connection_init', payload: { authorization: `Bearer ${accessToken}` } }),
    );
    socket.on('message', (bytes) => {
      const { id, type } = JSON.parse(String(bytes));
      if (type === 'connection_ack') resolve();
      waiting.get(id)?.();
      waiting.delete(id);
    });
  });
  return {
    closed,
    cut: () => socket.terminate(),
    complete: (id: string) => send({ id, type: 'complete' }),
    subscribe: (id: string, query: string) => send({ id, type: 'subscribe', payload: { query } }),
    heard: (id: string) => new Promise<void>((resolve) => waiting.set(id, resolve)),
  };
}

type Client = Awaited<ReturnType<typeof connect>>;

/** One after the other on each socket: some leave before they have begun, some when they have heard something. */
async function churn(clients: readonly Client[], count: number, syncId: string): Promise<void> {
  const queries = [SHARED, OWN, INBOX, RESUMING.replace('AFTER', syncId)];
  await Promise.all(
    clients.map(async (client, index) => {
      for (let n = index; n < count; n += clients.length) {
        const heard = n % 3 === 0 ? null : client.heard(`${n}`);
        client.subscribe(`${n}`, queries[n % queries.length] as string);
        await heard;
        client.complete(`${n}`);
      }
    }),
  );
}

/** Of this organisation's live channels: one per source that somebody listens to. */
const channels = async () =>
  redis.commands.pubsub('CHANNELS', `${supergraph.redisPrefix}live:*`) as Promise<string[]>;

async function subscriptions(): Promise<Record<string, number>> {
  const health = await fetch(supergraph.url.replace('/graphql', '/health'));
  return ((await health.json()) as { subscriptions: Record<string, number> }).subscriptions;
}

async function settled(): Promise<{ heapBytes: number; handles: number }> {
  await until('the subscriptions to have ended', async () => {
    const { operations, streams, sockets, upstream } = await subscriptions();
    const isOver = [operations, streams, sockets, upstream].every((count) => count === 0);
    return isOver && (await channels()).length === 0;
  });
  for (let round = 0; round < 4; round++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { heapBytes: process.memoryUsage().heapUsed, handles: process.getActiveResourcesInfo().length };
}

test(`${COUNT} subscriptions that come and go leave nothing behind`, async () => {
  const { syncId } = await aTask(people[0] as TestPerson);
  /** Nothing of the clients outlives their round. */
  const round = async (count: number) => {
    await Promise.all(people.map(signIn));
    const clients = await Promise.all([...people, ...people].map(connect));
    await churn(clients, count, syncId);
    for (const client of clients) client.cut();
    await Promise.all(clients.map(({ closed }) => closed));
  };
  await round(WARM_UP);
  const before = await settled();
  for (let left = COUNT; left > 0; left -= ROUND) await round(Math.min(left, ROUND));
  const after = await settled();
  const grown = after.heapBytes - before.heapBytes;
  console.log(
    `heap after ${COUNT} subscriptions: ${(grown / COUNT).toFixed(0)} bytes each; handles ${before.handles} → ${after.handles}`,
  );
  expect(grown).toBeLessThan(NOISE_BYTES + BYTES_EACH * COUNT);
  expect(after.handles).toBeLessThan(before.handles + 10);
}, 3_600_000);
