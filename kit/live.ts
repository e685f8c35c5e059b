import { type PubSubRedisOptions, RedisPubSub } from 'graphql-redis-subscriptions';
import type { Keys } from './keys.ts';
import type { Log } from './log.ts';
import type { RedisConnections } from './redis.ts';

/**
 * Live hints over Redis Pub/Sub, counted: any number of listeners of a channel share one Redis subscription, which
 * ends when the last of them leaves.
 *
 * Hints may be lost (a reconnect, a slow Redis) and nobody is told which. So this is a transport only: whoever needs
 * every fact compares positions and looks at the log after a reconnect (feed.ts). The counting is
 * graphql-redis-subscriptions', over its callback `subscribe`; its iterators are not used, their queue has no bound.
 */
export interface Live {
  /**
   * Resolves when Redis has confirmed the subscription; while Redis is away that takes as long as it takes. What is
   * published from then on arrives parsed. `onReconnect` is called when the subscription has been restored after a
   * lost connection, in which hints may have been missed. The result leaves; calling it twice is safe.
   */
  listen(channel: string, onMessage: OnMessage, onReconnect?: () => void): Promise<() => Promise<void>>;
  /** False while hints cannot arrive. */
  isConnected(): boolean;
  readonly keys: Keys;
  stats(): { channels: number; listeners: number };
  /** Forgets all listeners. The connections are their owner's to close. */
  close(): Promise<void>;
}

export type OnMessage = (message: unknown) => void;

interface Listener {
  onMessage: OnMessage;
  onReconnect: (() => void) | undefined;
}

/**
 * What graphql-redis-subscriptions keeps to itself (2.7). When a SUBSCRIBE fails it leaves its entries behind, and
 * rejects a promise that nobody looks at, which would end the process.
 */
interface Bookkeeping {
  subscriptionMap: Record<number, [channel: string, onMessage: OnMessage]>;
  subsRefsMap: Map<string, Set<number>>;
  subsPendingRefsMap: Map<string, { pending: Promise<unknown> }>;
}

export function createLive(redis: RedisConnections, log: Log): Live {
  const { subscriber } = redis;
  const guarded = (what: string, run: () => void) => {
    try {
      run();
    } catch (error) {
      // One listener's bug must not keep the hint from the others.
      log.error({ error }, `A live listener failed on ${what}`);
    }
  };

  let forward: ((channel: string, message: string) => void) | null = null;
  const pubsub = new RedisPubSub(
    clientsFor(redis, (onMessage) => {
      forward = (channel, message) => guarded('a hint', () => onMessage(channel, message));
      subscriber.on('message', forward);
    }),
  );
  const bookkeeping = pubsub as unknown as Bookkeeping;
  const leavers = new Map<Listener, () => void>();
  let isClosed = false;

  let isLost = false;
  const onClose = () => {
    isLost = true;
  };
  const onReady = () => {
    if (!isLost) return;
    isLost = false;
    // Restoring the subscriptions was sent before this PING on the same connection: its answer means they are back.
    subscriber.ping().then(
      () => {
        for (const { onReconnect } of [...leavers.keys()]) guarded('a reconnect', () => onReconnect?.());
      },
      () => {},
    );
  };
  subscriber.on('close', onClose);
  subscriber.on('ready', onReady);

  return {
    keys: redis.keys,
    async listen(channel, onMessage, onReconnect) {
      const listener: Listener = { onMessage, onReconnect };
      const deliver: OnMessage = (message) => guarded('a hint', () => onMessage(message));
      const subscribing = pubsub.subscribe<unknown>(channel, deliver);
      bookkeeping.subsPendingRefsMap.get(channel)?.pending.catch(() => {});
      const id = await subscribing.catch((error: unknown) => {
        forget(bookkeeping, channel, deliver);
        throw error;
      });
      const leave = () => {
        if (leavers.delete(listener)) pubsub.unsubscribe(id);
      };
      leavers.set(listener, leave);
      if (isClosed) leave();
      return async () => leave();
    },
    isConnected: () => subscriber.status === 'ready',
    stats: () => ({ channels: bookkeeping.subsRefsMap.size, listeners: leavers.size }),
    async close() {
      isClosed = true;
      subscriber.off('close', onClose);
      subscriber.off('ready', onReady);
      if (forward) subscriber.off('message', forward);
      for (const leave of [...leavers.values()]) leave();
    },
  };
}

function forget({ subscriptionMap, subsRefsMap }: Bookkeeping, channel: string, deliver: OnMessage): void {
  for (const [id, [, known]] of Object.entries(subscriptionMap)) {
    if (known === deliver) delete subscriptionMap[Number(id)];
  }
  if (subsRefsMap.get(channel)?.size === 0) subsRefsMap.delete(channel);
}

/**
 * The clients as graphql-redis-subscriptions may have them. It unsubscribes without looking at the answer, which
 * would be an unhandled rejection when the client is being closed, and unsubscribes every channel from a pattern too.
 * The casts: it was typed against ioredis 5, whose client has no type parameter; the methods are the same.
 */
function clientsFor(
  { subscriber, commands }: RedisConnections,
  onListener: (onMessage: (channel: string, message: string) => void) => void,
): PubSubRedisOptions {
  const counted = {
    on(event: string, onMessage: (channel: string, message: string) => void) {
      if (event === 'message') onListener(onMessage);
    },
    subscribe: subscriber.subscribe.bind(subscriber),
    unsubscribe: (channel: string) => void subscriber.unsubscribe(channel).catch(() => {}),
    punsubscribe: () => {},
  };
  return { subscriber: counted, publisher: commands } as unknown as PubSubRedisOptions;
}
