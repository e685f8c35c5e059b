import { expect, test, vi } from 'vitest';
import { createDelivery, iterated } from './delivery.ts';
import type { FeedListener } from './feeds.ts';

/** A delivery whose feed and socket the test speaks for. */
function aDelivery({ canPause = true, eventsMax = 3, bytesMax = 1_000 } = {}) {
  const written: string[] = [];
  const calls: string[] = [];
  let listener: FeedListener | undefined;
  let takes = () => {};
  let isReading = true;
  const delivery = createDelivery({
    open(given) {
      listener = given;
      return {
        pause() {
          calls.push('pause');
          return canPause;
        },
        resume: () => void calls.push('resume'),
        leave: () => void calls.push('leave'),
      };
    },
    write(payload) {
      written.push(payload);
      return isReading
        ? Promise.resolve()
        : new Promise((resolve) => {
            takes = resolve;
          });
    },
    bufferedBytes: () => 0,
    explain: async ({ kind }) => ({ message: kind, extensions: { code: 'CODE' } }),
    limits: { eventsMax, bytesMax, stallMs: 100 },
  });
  return {
    delivery,
    written,
    calls,
    says: (cursor: string, bytes = 1) =>
      listener?.event({
        ...{ result: {}, cursor, bytes, position: null, kind: 'event' },
        payload: async () => cursor,
      }),
    ends: (kind: 'completed' | 'unavailable') => listener?.ended({ kind }),
    stopReading() {
      isReading = false;
    },
    read() {
      isReading = true;
      takes();
    },
  };
}

test('what was heard before the end is delivered before it is told', async () => {
  const { delivery, written, says, ends } = aDelivery();
  const run = delivery.run();
  says('a');
  says('b');
  ends('unavailable');
  await expect(run).rejects.toMatchObject({
    message: 'unavailable',
    extensions: { code: 'CODE', cursor: 'b' },
  });
  expect(written).toEqual(['a', 'b']);
});

test('a full queue pauses the feed, and a drained one resumes it', async () => {
  const { delivery, written, calls, says, stopReading, read, ends } = aDelivery();
  const run = delivery.run();
  stopReading();
  says('a');
  await vi.waitFor(() => expect(written).toEqual(['a']));
  for (const cursor of ['b', 'c', 'd']) says(cursor);
  expect(calls).toEqual(['pause']);
  read();
  await vi.waitFor(() => expect(calls).toEqual(['pause', 'resume']));
  ends('completed');
  await run;
  expect(written).toEqual(['a', 'b', 'c', 'd']);
});

test('the queue is bounded by its weight too', async () => {
  const { delivery, calls, written, says, stopReading } = aDelivery({ eventsMax: 100 });
  void delivery.run();
  stopReading();
  says('a');
  await vi.waitFor(() => expect(written).toEqual(['a']));
  says('b', 999);
  expect(calls).toEqual([]);
  says('c', 1);
  expect(calls).toEqual(['pause']);
  delivery.leave();
});

test('a client that takes no frame while its queue is full is told so, with the cursor of its last event', async () => {
  const { delivery, calls, written, says, stopReading } = aDelivery();
  const run = delivery.run();
  stopReading();
  for (const cursor of ['a', 'b', 'c', 'd']) says(cursor);
  await expect(run).rejects.toMatchObject({ message: 'too-slow', extensions: { cursor: 'a' } });
  expect(written).toEqual(['a']);
  expect(calls).toEqual(['pause', 'leave']);
});

test('a feed that cannot be paused ends at once when its queue is full', async () => {
  const { delivery, says, stopReading } = aDelivery({ canPause: false });
  const run = delivery.run();
  stopReading();
  for (const cursor of ['a', 'b', 'c', 'd']) says(cursor);
  await expect(run).rejects.toMatchObject({ message: 'too-slow' });
});

test('leaving ends the run at once, while it waits and while it writes, and leaves the feed', async () => {
  const idle = aDelivery();
  const idleRun = idle.delivery.run();
  idle.delivery.leave();
  await idleRun;
  const busy = aDelivery();
  const busyRun = busy.delivery.run();
  busy.stopReading();
  busy.says('a');
  busy.says('b');
  await vi.waitFor(() => expect(busy.written).toEqual(['a']));
  busy.delivery.leave();
  await busyRun;
  expect(busy.written).toEqual(['a']);
  expect([idle.calls, busy.calls]).toEqual([['leave'], ['leave']]);
});

test('an iteration that is left before its first pull opens no feed, and counts as over', async () => {
  const { delivery, calls } = aDelivery();
  const told: string[] = [];
  const iteration = iterated(delivery, {
    left: () => told.push('left'),
    settled: () => told.push('settled'),
  });
  await iteration.return();
  expect(await iteration.next()).toEqual({ done: true, value: undefined });
  expect(calls).toEqual([]);
  expect(told.slice(0, 2)).toEqual(['left', 'settled']);
});

test('an iteration ends at once when it is left, and is settled when the work in hand is', async () => {
  const work = Promise.withResolvers<void>();
  const told: string[] = [];
  const iteration = iterated(
    { run: () => work.promise, leave: () => told.push('leave') },
    { left: () => told.push('left'), settled: () => told.push('settled') },
  );
  const next = iteration.next();
  await iteration.return();
  expect(await next).toEqual({ done: true, value: undefined });
  expect(told).toEqual(['left', 'leave']);
  work.resolve();
  await vi.waitFor(() => expect(told).toEqual(['left', 'leave', 'settled']));
});
