import { expect, test } from 'vitest';
import { FeedQueue } from './feed-queue.ts';

const aQueue = (onEnd = () => {}) => new FeedQueue<{ seq: number }>({ itemsMax: 3, bytesMax: 100 }, onEnd);
const done = { done: true, value: undefined };

test('items are taken in the order in which they were pushed, waiting or not', async () => {
  const queue = aQueue();
  const waiting = [queue.next(), queue.next()];
  for (const seq of [1, 2, 3]) queue.push({ seq }, 1);
  const taken = await Promise.all([...waiting, queue.next()]);
  expect(taken.map((result) => result.value?.seq)).toEqual([1, 2, 3]);
});

test('a push beyond the number or the size is refused, and one large item fits into an empty queue', () => {
  const many = aQueue();
  expect([1, 2, 3, 4].map((seq) => many.push({ seq }, 1))).toEqual([true, true, true, false]);
  const large = aQueue();
  expect([1, 2].map((seq) => large.push({ seq }, 1_000))).toEqual([true, false]);
});

test('return() ends at once although next() is waiting, and tells once', async () => {
  let ends = 0;
  const queue = aQueue(() => {
    ends += 1;
  });
  const waiting = queue.next();
  expect(await queue.return()).toEqual(done);
  expect(await waiting).toEqual(done);
  await queue.return();
  expect(await queue.next()).toEqual(done);
  expect(ends).toBe(1);
});

test('after the end what is queued can still be taken, and nothing more comes', async () => {
  const queue = aQueue();
  queue.push({ seq: 1 }, 1);
  queue.end();
  expect(queue.push({ seq: 2 }, 1)).toBe(true);
  expect((await queue.next()).value).toEqual({ seq: 1 });
  expect(await queue.next()).toEqual(done);
});

test('drained resolves when the last item has been taken and when the queue ends', async () => {
  const queue = aQueue();
  queue.push({ seq: 1 }, 1);
  let isDrained = false;
  const drained = queue.drained().then(() => {
    isDrained = true;
  });
  await Promise.resolve();
  expect(isDrained).toBe(false);
  await queue.next();
  await drained;
  queue.push({ seq: 2 }, 1);
  const ended = queue.drained();
  queue.end();
  await ended;
});
