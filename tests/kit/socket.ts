/**
 * A client's WebSocket that speaks graphql-transport-ws by hand and queues from the first frame, so that a test can await
 * each message and misses none. Everything that is opened closes when the test has finished.
 */
import { onTestFinished } from 'vitest';
import WebSocket from 'ws';

export interface Frame {
  type: string;
  id?: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads into payloads that it knows
  payload?: any;
}

export interface TestSocket {
  /** Sends a message as it is. */
  send(message: Frame): void;
  /** The next message for which `wanted` holds; earlier ones that do not are passed over. */
  next(wanted?: (frame: Frame) => boolean): Promise<Frame>;
  /** Starts an operation; its messages queue under its id. `extensions` are for subgraphs, which are called by routers; `more` are further members. */
  subscribe(query: string, variables?: object, extensions?: object, more?: object): TestSubscription;
  /** Cuts the connection without a word, as a lost network does. */
  cut(): void;
  closed: Promise<{ code: number; reason: string }>;
}

export interface TestSubscription {
  readonly id: string;
  /** The data of the next event; fails on an error. */
  next<T = Record<string, never>>(): Promise<T>;
  /** The value of the root field of the next event whose __typename is this. */
  // biome-ignore lint/suspicious/noExplicitAny: a test reads into events that it knows
  nextOf(typename: string): Promise<any>;
  /** The message that ends it, or the next one of any kind. */
  frame(): Promise<Frame>;
  /** What has arrived and was not read. */
  readonly waiting: readonly Frame[];
  complete(): void;
}

const DEADLINE_MS = 15_000;

interface Queue {
  frames: Frame[];
  wake: (() => void)[];
}

/** Opens a socket and, with a token (or null for none), initialises it. `undefined` leaves it uninitialised. */
export async function openSocket(
  url: string,
  token: string | null | undefined,
  options: { subprotocol?: string; headers?: Record<string, string> } = {},
): Promise<TestSocket> {
  const address = url.replace(/^http/, 'ws');
  const socket = new WebSocket(address, options.subprotocol ?? 'graphql-transport-ws', {
    headers: options.headers ?? {},
  });
  onTestFinished(() => socket.terminate());
  const queues = new Map<string, Queue>();
  const queueOf = (id: string): Queue => {
    const known = queues.get(id) ?? { frames: [], wake: [] };
    queues.set(id, known);
    return known;
  };
  const CONNECTION = '';
  socket.on('message', (data) => {
    const frame = JSON.parse(String(data)) as Frame;
    if (frame.type === 'ping') {
      socket.send('{"type":"pong"}');
      return;
    }
    const queue = queueOf(frame.id ?? CONNECTION);
    queue.frames.push(frame);
    for (const wake of queue.wake.splice(0)) wake();
  });
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.once('close', (code, reason) => resolve({ code, reason: String(reason) }));
  });
  void closed.then(() => {
    for (const queue of queues.values()) for (const wake of queue.wake.splice(0)) wake();
  });

  async function take(id: string): Promise<Frame> {
    const queue = queueOf(id);
    const deadline = performance.now() + DEADLINE_MS;
    for (;;) {
      const frame = queue.frames.shift();
      if (frame) return frame;
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) throw new Error(`no message for operation "${id}" within ${DEADLINE_MS} ms`);
      if (socket.readyState === WebSocket.CLOSED)
        throw new Error(`the socket is closed: ${JSON.stringify(await closed)}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        queue.wake.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  const opened = new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  await opened;
  const test: TestSocket = {
    send: (message) => socket.send(JSON.stringify(message)),
    async next(wanted = () => true) {
      for (;;) {
        const frame = await take(CONNECTION);
        if (wanted(frame)) return frame;
      }
    },
    subscribe(query, variables = {}, extensions, more) {
      const id = `s${queues.size}-${Math.random().toString(36).slice(2, 8)}`;
      const queue = queueOf(id);
      test.send({ type: 'subscribe', id, payload: { query, variables, extensions, ...more } });
      const next = async <T>(): Promise<T> => {
        const frame = await take(id);
        if (frame.type !== 'next' || frame.payload.errors)
          throw new Error(`not an event: ${JSON.stringify(frame)}`);
        return frame.payload.data;
      };
      return {
        id,
        next,
        async nextOf(typename) {
          for (;;) {
            const [event] = Object.values(await next<Record<string, { __typename: string }>>());
            if (event?.__typename === typename) return event;
          }
        },
        frame: () => take(id),
        waiting: queue.frames,
        complete: () => test.send({ type: 'complete', id }),
      };
    },
    cut: () => socket.terminate(),
    closed,
  };
  if (token !== undefined) {
    test.send({
      type: 'connection_init',
      payload: token === null ? {} : { authorization: `Bearer ${token}` },
    });
    const answer = await Promise.race([test.next((frame) => frame.type === 'connection_ack'), closed]);
    if ('code' in answer) throw new Error(`the socket was refused: ${JSON.stringify(answer)}`);
  }
  return test;
}
