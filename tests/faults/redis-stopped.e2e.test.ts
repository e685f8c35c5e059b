/**
 * Redis carries hints and work, and owns nothing. Without it mutations succeed; with it back, whoever goes on from a
 * cursor and whoever consumes facts has all of them, once, in order — even when Redis came back without its data.
 */
import { WORK_PARTITIONS } from '@taskflow/kit/keys';
import pg from 'pg';
import { expect, it, onTestFinished } from 'vitest';
import { type OwnRedis, startOwnRedis } from '../kit/redis.ts';
import { aMember, anOrg, aTask, changeTask, type TestPerson } from '../kit/seed.ts';
import { openSocket } from '../kit/socket.ts';
import { aSupergraph, type TestSupergraph } from '../kit/supergraph.ts';
import { until } from '../kit/until.ts';
import { type Behind, expectNothingLostOrTwice, select, titlesOf, untilAtRest } from './behind-the-story.ts';

const TASK_EVENTS = `subscription TaskEvents($after: String) { taskEvents(after: $after) { __typename
  ... on StreamHeartbeat { cursor } ... on ResyncRequired { reason } ... on TaskChange { taskId version } } }`;

/** A change that a mutation has confirmed, and what it puts into Grace's inbox. */
interface Confirmed {
  taskId: string;
  version: number;
  notice: string | null;
}

interface Scene {
  redis: OwnRedis;
  supergraph: TestSupergraph;
  behind: Behind;
  ada: TestPerson;
  grace: TestPerson;
  /** Where Grace was when her socket was cut. */
  cursor: string;
  /** Before that, with everything working. */
  before: Confirmed[];
}

/** Grace has been told of one task, has noted her place in the stream, and her socket is cut. */
async function graceIsAway(): Promise<Scene> {
  const redis = await startOwnRedis();
  const supergraph = await aSupergraph({ redisUrl: redis.url });
  onTestFinished(() => supergraph.stop());
  const { databases, client } = supergraph;
  const behind = {
    user: databases.user.adminUrl,
    org: databases.org.adminUrl,
    task: databases.task.adminUrl,
    notification: databases.notification.adminUrl,
  };
  const ada = await anOrg(client, 'Ada');
  const grace = await aMember(ada, 'MEMBER', 'Grace');
  const socket = await openSocket(client.url, grace.accessToken);
  const live = socket.subscribe(TASK_EVENTS);
  await live.nextOf('StreamHeartbeat');
  const before = await makeChanges({ ada, grace }, 1);
  expect(await live.nextOf('TaskChange')).toMatchObject({ taskId: before[0]?.taskId, version: 1 });
  await untilAtRest(behind);
  const place = await openSocket(client.url, grace.accessToken);
  const { cursor } = await place.subscribe(TASK_EVENTS).nextOf('StreamHeartbeat');
  for (const open of [socket, place]) {
    open.cut();
    await open.closed;
  }
  return { redis, supergraph, behind, ada, grace, cursor, before };
}

/** One after the other, so that their order is known: a task for Grace, its status, its title, the next task. Each must succeed. */
async function makeChanges(
  { ada, grace }: Pick<Scene, 'ada' | 'grace'>,
  count: number,
): Promise<Confirmed[]> {
  const confirmed: Confirmed[] = [];
  let task = { id: '', key: '', title: '', version: 0 };
  for (let n = 0; n < count; n++) {
    const title = `Task ${n}`;
    if (n % 3 === 0) task = await aTask(ada, { title, assigneeId: grace.id });
    else if (n % 3 === 1) task = await changeTask(ada, { id: task.id, status: 'IN_PROGRESS' });
    else task = await changeTask(ada, { id: task.id, title });
    const notices = [
      `${task.key} was assigned to you: ${task.title}`,
      `${task.key} is in progress: ${task.title}`,
    ];
    confirmed.push({ taskId: task.id, version: task.version, notice: notices[n % 3] ?? null });
  }
  return confirmed;
}

/** Grace goes on from her cursor and hears exactly `missed`; the next thing she hears is what is done then. */
async function expectExactly(scene: Scene, missed: Confirmed[]): Promise<Confirmed[]> {
  const socket = await openSocket(scene.supergraph.url, scene.grace.accessToken);
  const resumed = socket.subscribe(TASK_EVENTS, { after: scene.cursor });
  const heard: Pick<Confirmed, 'taskId' | 'version'>[] = [];
  const hear = async () => {
    const { taskId, version } = await resumed.nextOf('TaskChange');
    heard.push({ taskId, version });
  };
  while (heard.length < missed.length) await hear();
  const next = await makeChanges(scene, 1);
  await hear();
  expect(heard).toEqual([...missed, ...next].map(({ taskId, version }) => ({ taskId, version })));
  expect(resumed.waiting.filter((frame) => JSON.stringify(frame).includes('TaskChange'))).toEqual([]);
  return next;
}

async function expectInbox({ behind, grace }: Scene, changes: Confirmed[]): Promise<void> {
  await untilAtRest(behind);
  await expectNothingLostOrTwice(behind);
  const notices = changes.flatMap(({ notice }) => notice ?? []);
  expect(await titlesOf(behind, grace.id)).toEqual(notices.sort());
}

it('with Redis stopped 100 of 100 mutations succeed, and once it is back nothing of them is lost or doubled', async () => {
  const scene = await graceIsAway();
  await scene.redis.stop();
  const missed = await makeChanges(scene, 100);
  expect(missed).toHaveLength(100);
  await scene.redis.restart();
  const next = await expectExactly(scene, missed);
  await expectInbox(scene, [...scene.before, ...missed, ...next]);
}, 60_000);

it('a Redis that comes back empty is given everything again, what nobody had read included, and no inbox doubles', async () => {
  const scene = await graceIsAway();
  const { redis, behind } = scene;
  // Nobody can finish a fact any more: what is published from here on waits in Redis, and goes down with it.
  const holdUp = await holdUpInbox(behind.notification);
  const unread = await makeChanges(scene, 50);
  await until('Redis to have what nobody has read', async () => {
    const [waiting] = await select(behind.task, 'select from outbox where published_at is null');
    return !waiting;
  });
  await redis.kill();
  await holdUp.end();
  const unpublished = await makeChanges(scene, 50);
  await redis.restart({ empty: true });
  const missed = [...unread, ...unpublished];
  const next = await expectExactly(scene, missed);
  await untilHandledAgain(scene);
  await expectInbox(scene, [...scene.before, ...missed, ...next]);
}, 60_000);

async function holdUpInbox(url: string): Promise<{ end(): Promise<void> }> {
  const client = new pg.Client({ connectionString: url });
  onTestFinished(() => client.end());
  await client.connect();
  await client.query('begin');
  await client.query('lock table inbox in access exclusive mode');
  return {
    async end() {
      await client.query('rollback');
    },
  };
}

/** Resolves when the streams have all of it again, also what was handled long before, delivered and acknowledged. */
async function untilHandledAgain({ redis, behind }: Scene): Promise<void> {
  const { commands, keys } = await redis.connect();
  const [sent] = await select<{ count: number }>(behind.task, 'select count(*)::int from outbox');
  const streams = Array.from({ length: WORK_PARTITIONS }, (_, n) => keys.workStream('task', n));
  await until('the second deliveries to be acknowledged', async () => {
    const lengths = await Promise.all(streams.map((stream) => commands.xlen(stream)));
    if (lengths.reduce((sum, length) => sum + length, 0) < (sent?.count ?? 1)) return false;
    const groups = await Promise.all(streams.map((stream) => commands.xinfo('GROUPS', stream)));
    return groups.flat().every((group) => {
      const fields = group as unknown[];
      return ['lag', 'pending'].every((name) => fields[fields.indexOf(name) + 1] === 0);
    });
  });
}
