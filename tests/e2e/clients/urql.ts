/** urql 6: queries by GET, mutations by POST, subscriptions by fetch (server-sent events, multipart) and by graphql-ws. */
import { Client, fetchExchange, type OperationResult, subscriptionExchange } from '@urql/core';
import { createClient } from 'graphql-ws';
import { expect, onTestFinished, test } from 'vitest';
import { pipe, subscribe } from 'wonka';
import WebSocket from 'ws';
import { CREATE, DEFERRED, EVENTS, Inbox, type Scene, TASK, type TaskEvent } from './scene.ts';

export function tryUrql(sceneOf: () => Promise<Scene>): void {
  test('asks by GET and changes by POST', async () => {
    const scene = await sceneOf();
    const sent: string[] = [];
    const client = clientOf(scene, { onRequest: (method) => void sent.push(method) });
    const created = await client.mutation(CREATE, { input: { title: 'From urql' } });
    const { id } = created.data.taskCreate.task;
    const { data, error } = await client.query(TASK, { id });
    expect([error, data]).toMatchObject([undefined, { task: { id, title: 'From urql' } }]);
    expect(sent).toEqual(['POST', 'GET']);
  });

  test.each([
    ['server-sent events', undefined],
    ['multipart', 'multipart/mixed'],
  ])('hears of changes as %s; leaving ends it at the subgraph', async (_kind, accept) => {
    const scene = await sceneOf();
    const { inbox, stop } = listen(clientOf(scene, { accept }));
    await inbox.begun();
    await scene.aTask(`Heard ${accept}`);
    await inbox.has(`Heard ${accept}`);
    stop();
    await scene.isOver();
  });

  test.each([
    ['in one piece as it comes, since it names no draft of parts', undefined, 1],
    ['part by part where it is told to name one', 'multipart/mixed;deferSpec=20220824, application/json', 2],
  ])('takes an answer with @defer %s', async (_how, accept, count) => {
    const scene = await sceneOf();
    const { id } = await scene.aTask('In parts');
    const seen: { hasNext: boolean; creator: boolean }[] = [];
    const source = clientOf(scene, { accept }).query(DEFERRED, { id });
    await new Promise<void>((resolve) => {
      const take = ({ data, hasNext }: OperationResult) => {
        seen.push({ hasNext, creator: 'creator' in data.task });
        if (!hasNext) resolve();
      };
      pipe(source, subscribe(take));
    });
    expect(seen).toEqual(
      [
        { hasNext: true, creator: false },
        { hasNext: false, creator: true },
      ].slice(-count),
    );
  });

  test('says TOKEN_EXPIRED of an answer and of a stream, which goes on from its cursor', async () => {
    const scene = await sceneOf();
    const client = clientOf(scene);
    const first = listen(client);
    await first.inbox.begun();
    await scene.expire();
    const [error] = errorsOf(await first.inbox.end());
    expect(error?.extensions).toMatchObject({ code: 'TOKEN_EXPIRED', cursor: first.inbox.cursor });
    const refused = await client.query(TASK, { id: 'x' });
    expect(refused.error?.response?.status).toBe(401);
    expect(errorsOf(refused.error)[0]?.extensions.code).toBe('TOKEN_EXPIRED');
    const late = listen(client);
    expect(errorsOf(await late.inbox.end())[0]?.extensions.code).toBe('TOKEN_EXPIRED');
    await scene.refresh();
    await scene.aTask('Missed by urql');
    const again = listen(client, String(error?.extensions.cursor));
    await again.inbox.has('Missed by urql');
    again.stop();
    await scene.isOver();
  });

  test('hears of changes over a WebSocket', async () => {
    const scene = await sceneOf();
    const socket = createClient({
      url: scene.socketUrl,
      webSocketImpl: WebSocket,
      connectionParams: scene.authorization,
    });
    onTestFinished(() => void socket.dispose());
    const overSocket = subscriptionExchange({
      forwardSubscription: ({ query = '', variables }) => ({
        subscribe: (sink) => ({
          unsubscribe: socket.subscribe(
            { query, variables: variables as Record<string, unknown> },
            sink as never,
          ),
        }),
      }),
    });
    const client = new Client({ url: scene.url, exchanges: [overSocket], preferGetMethod: false });
    const { inbox, stop } = listen(client);
    await inbox.begun();
    await scene.aTask('urql over the socket');
    await inbox.has('urql over the socket');
    stop();
    await scene.isOver();
  });
}

function clientOf(
  scene: Scene,
  { accept, onRequest }: { accept?: string | undefined; onRequest?: (method: string) => void } = {},
): Client {
  return new Client({
    url: scene.url,
    exchanges: [fetchExchange],
    fetchSubscriptions: true,
    preferGetMethod: 'within-url-limit',
    requestPolicy: 'network-only',
    fetch: (url, init) => {
      onRequest?.(init?.method ?? 'GET');
      return fetch(url, init);
    },
    fetchOptions: () => ({ headers: { ...scene.authorization(), ...(accept ? { accept } : {}) } }),
  });
}

function listen(client: Client, after?: string) {
  const inbox = new Inbox();
  const take = ({ data, error }: OperationResult<{ taskEvents: TaskEvent }>) => {
    if (error) inbox.failed(error);
    else inbox.next(data?.taskEvents);
  };
  const { unsubscribe } = pipe(client.subscription(EVENTS, { after }), subscribe(take));
  return { inbox, stop: unsubscribe };
}

/** What urql makes of `errors`. */
function errorsOf(error: unknown): { extensions: Record<string, unknown> }[] {
  return (error as { graphQLErrors?: { extensions: Record<string, unknown> }[] })?.graphQLErrors ?? [];
}
