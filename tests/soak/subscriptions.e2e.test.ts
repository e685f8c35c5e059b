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
import { aMember, anOrg, aTask, type TestPerson } from '../kit/seed.ts';
import { openSocket, type TestSocket } from '../kit/socket.ts';
import { aSupergraph, type TestSupergraph } from '../kit/supergraph.ts';
import { until } from '../kit/until.ts';

const COUNT = Number(process.env.SOAK_SUBSCRIPTIONS ?? 800);
/** Caches fill, code is compiled, buffers grow: all of that before the first look. */
const WARM_UP = 300;
/** What the heap may differ by between two looks, and by subscription. A feed that stays behind is 3 kB at least. */
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

/** One after the other on each socket: some leave before they have begun, some when they have heard something. */
async function churn(sockets: readonly TestSocket[], count: number, syncId: string): Promise<void> {
  const queries = [SHARED, OWN, INBOX, RESUMING.replace('AFTER', syncId)];
  await Promise.all(
    sockets.map(async (socket, index) => {
      for (let n = index; n < count; n += sockets.length) {
        const subscription = socket.subscribe(queries[n % queries.length] as string);
        if (n % 3 !== 0) await subscription.next();
        subscription.complete();
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
  const open = async () =>
    Promise.all([...people, ...people].map(({ accessToken }) => openSocket(supergraph.url, accessToken)));
  const cut = async (sockets: TestSocket[]) => {
    for (const socket of sockets) socket.cut();
    await Promise.all(sockets.map(({ closed }) => closed));
  };
  const first = await open();
  await churn(first, WARM_UP, syncId);
  await cut(first);
  const before = await settled();
  const second = await open();
  await churn(second, COUNT, syncId);
  await cut(second);
  const after = await settled();
  const grown = after.heapBytes - before.heapBytes;
  console.log(
    `heap after ${COUNT} subscriptions: ${(grown / COUNT).toFixed(0)} bytes each; handles ${before.handles} → ${after.handles}`,
  );
  expect(grown).toBeLessThan(NOISE_BYTES + BYTES_EACH * COUNT);
  expect(after.handles).toBeLessThan(before.handles + 10);
}, 3_600_000);
