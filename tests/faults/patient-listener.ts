/**
 * A listener as it should be: whatever cuts it off, it opens a new socket and goes on behind the last cursor it has seen.
 * It keeps every event that it was sent, so that a test can count them; it removes no double.
 */

import type { TestPerson } from '../kit/seed.ts';
import { openSocket, type TestSocket, type TestSubscription } from '../kit/socket.ts';
import { until } from '../kit/until.ts';
import { BACK_MS } from './patient-client.ts';

// biome-ignore lint/suspicious/noExplicitAny: a test reads into events that it knows
type Event = any;

export interface Listening {
  /** The changes heard so far, heartbeats left out, in order of arrival. */
  readonly changes: readonly Event[];
  /** Resolves when the first place in the stream is known: nothing is missed from here on. */
  attending(): Promise<void>;
  /** Resolves when so many changes have been heard; fails when it cannot listen any more. */
  heard(count: number): Promise<void>;
  /** Loses the connection, as a phone does in a tunnel. */
  cut(): void;
  stop(): Promise<void>;
}

/** `query` selects `cursor` of every event of its one root field, and takes `$after`. Call it in a test. */
export function listen(person: TestPerson, query: string): Listening {
  const changes: Event[] = [];
  let cursor: string | null = null;
  let socket: TestSocket | null = null;
  let isStopped = false;

  /** Returns when the stream has ended in a way that lets one go on. */
  async function attend(open: TestSocket, subscription: TestSubscription): Promise<void> {
    for (;;) {
      const frame = await Promise.race([nextFrame(subscription), open.closed]);
      if ('code' in frame) return;
      const event: Event = Object.values(frame.payload?.data ?? {})[0];
      const errors: Event[] = frame.type === 'error' ? frame.payload : (frame.payload?.errors ?? []);
      const isFinal = errors.some(({ extensions }) => extensions?.retryable !== true);
      if (isFinal || event?.__typename === 'ResyncRequired') throw new Error(JSON.stringify(frame));
      if (!event) return;
      cursor = event.cursor;
      if (event.__typename !== 'StreamHeartbeat') changes.push(event);
    }
  }

  async function run(): Promise<void> {
    const { url } = person.client;
    while (!isStopped) {
      const open = await until('a socket', () => openSocket(url, person.accessToken), BACK_MS);
      socket = open;
      if (!isStopped) await attend(open, open.subscribe(query, { after: cursor }));
      open.cut();
    }
  }

  const running = run();
  const failed = running.then(() => new Promise<never>(() => {}));
  failed.catch(() => {}); // told by whoever waits next
  const unlessFailed = async (what: string, look: () => boolean) => {
    await Promise.race([until(what, look, BACK_MS), failed]);
  };
  return {
    changes,
    attending: () => unlessFailed('the place in the stream', () => cursor !== null),
    heard: (count) => unlessFailed(`${count} changes`, () => changes.length >= count),
    cut: () => socket?.cut(),
    async stop() {
      isStopped = true;
      socket?.cut();
      await running;
    },
  };
}

/** A stream may be silent for longer than the socket of the tests waits for a message. */
async function nextFrame(subscription: TestSubscription) {
  for (;;) {
    try {
      return await subscription.frame();
    } catch (error) {
      if (!(error as Error).message.startsWith('no message')) return { code: 1006 };
    }
  }
}
