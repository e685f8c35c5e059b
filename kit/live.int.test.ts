import { randomUUID } from 'node:crypto';
import { aRedis, startOwnRedis } from '@taskflow/tests/kit/redis';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createLive, type Live } from './live.ts';
import { createLog } from './log.ts';
import type { RedisConnections } from './redis.ts';

const redis = await (await aRedis()).connect();
const log = createLog({ process: 'test', level: 'silent' });
const until = (condition: () => boolean | Promise<boolean>) =>
  vi.waitUntil(condition, { timeout: 10_000, interval: 5 });

function aLive(connections: RedisConnections = redis): Live {
  const live = createLive(connections, log);
  onTestFinished(() => live.close());
  return live;
}

const aChannel = () => redis.keys.liveChannel('task', randomUUID());

/** How many connections Redis itself believes to listen to a channel. */
async function subscribersOf(channel: string, connections: RedisConnections = redis): Promise<number> {
  const [, count] = (await connections.commands.pubsub('NUMSUB', channel)) as [string, number];
  return Number(count);
}

test('two listeners share one subscription, and the first to leave does not end the second one', async () => {
  const live = aLive();
  const channel = aChannel();
  const heard: string[] = [];
  const [leaveFirst, leaveSecond] = await Promise.all([
    live.listen(channel, (message) => heard.push(`first ${JSON.stringify(message)}`)),
    live.listen(channel, (message) => heard.push(`second ${JSON.stringify(message)}`)),
  ]);
  expect(await subscribersOf(channel)).toBe(1);
  expect(live.stats()).toEqual({ channels: 1, listeners: 2 });
  await redis.commands.publish(channel, '{"seq":1}');
  await until(() => heard.length === 2);
  await leaveFirst();
  await leaveFirst();
  await redis.commands.publish(channel, '{"seq":2}');
  await until(() => heard.length === 3);
  expect(heard.slice(0, 2).sort()).toEqual(['first {"seq":1}', 'second {"seq":1}']);
  expect(heard[2]).toBe('second {"seq":2}');
  await leaveSecond();
  await until(async () => (await subscribersOf(channel)) === 0);
  expect(live.stats()).toEqual({ channels: 0, listeners: 0 });
});

test('a listener that throws does not keep the hint from the others', async () => {
  const live = aLive();
  const channel = aChannel();
  let heard = 0;
  await live.listen(channel, () => {
    throw new Error('a bug');
  });
  await live.listen(channel, () => {
    heard += 1;
  });
  await redis.commands.publish(channel, '{}');
  await until(() => heard === 1);
});

test('a refused subscription leaves nothing behind', async () => {
  const own = await startOwnRedis();
  const connections = await own.connect();
  const live = aLive(connections);
  await vi.waitUntil(live.isConnected, { timeout: 5_000 });
  await connections.commands.acl('SETUSER', 'default', 'resetchannels');
  await expect(live.listen('forbidden', () => {})).rejects.toThrow('NOPERM');
  expect(live.stats()).toEqual({ channels: 0, listeners: 0 });
});

test('after a lost connection listeners are told once hints arrive again', async () => {
  const own = await startOwnRedis();
  const connections = await own.connect();
  const live = aLive(connections);
  const heard: unknown[] = [];
  let reconnects = 0;
  await live.listen(
    'channel',
    (message) => heard.push(message),
    () => {
      reconnects += 1;
    },
  );
  await own.kill();
  await until(() => !live.isConnected());
  const late = live.listen('another', (message) => heard.push(message));
  await own.restart();
  await until(() => reconnects === 1);
  expect(await subscribersOf('channel', await own.connect())).toBe(1);
  await late;
  await connections.whenReady();
  await connections.commands.publish('channel', '1');
  await connections.commands.publish('another', '2');
  await until(() => heard.length === 2);
  expect(heard).toEqual([1, 2]);
});

test('closing while a subscription waits for Redis rejects it and leaves nothing behind', async () => {
  const own = await startOwnRedis();
  const connections = await own.connect();
  const live = aLive(connections);
  await own.kill();
  await until(() => !live.isConnected());
  const waiting = Promise.allSettled([live.listen('channel', () => {}), live.listen('channel', () => {})]);
  await connections.close();
  for (const { status } of await waiting) expect(status).toBe('rejected');
  expect(live.stats()).toEqual({ channels: 0, listeners: 0 });
});
