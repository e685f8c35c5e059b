/** graphql-ws's own client: it comes back by itself after a lost network, and not after a fatal close. */
import { type Client, type ClientOptions, createClient } from 'graphql-ws';
import { expect, onTestFinished, test } from 'vitest';
import WebSocket from 'ws';
import { CREATE, EVENTS, Inbox, type Scene, TASK } from './scene.ts';

export function tryGraphqlWs(sceneOf: () => Promise<Scene>): void {
  test('asks and changes over the socket', async () => {
    const client = clientOf(await sceneOf());
    const created = await answerOf(client, CREATE, { input: { title: 'From graphql-ws' } });
    const { id } = created.data.taskCreate.task;
    expect(await answerOf(client, TASK, { id })).toMatchObject({
      data: { task: { title: 'From graphql-ws' } },
    });
  });

  test('goes on after its socket was cut, with the cursor of its last event: nothing lost, nothing twice', async () => {
    const scene = await sceneOf();
    const sockets: WebSocket[] = [];
    const inbox = new Inbox();
    // The client repeats its message as it was: a getter makes it say where to go on.
    const variables = {
      get after() {
        return inbox.cursor;
      },
    };
    const client = clientOf(scene, { on: { opened: (socket) => void sockets.push(socket as WebSocket) } });
    const stop = listen(client, inbox, variables);
    await inbox.begun();
    await scene.aTask('One');
    await inbox.has('One');
    sockets[0]?.terminate();
    await scene.aTask('Two');
    await inbox.has('Two');
    await scene.aTask('Three');
    await inbox.has('Three');
    expect(inbox.titles()).toEqual(['One', 'Two', 'Three']);
    expect(sockets).toHaveLength(2);
    stop();
    await scene.isOver();
  });

  test('is closed with 4401 when its token ends, comes back with a new one, and is not let in with the old', async () => {
    const scene = await sceneOf();
    const closed: number[] = [];
    const old = scene.authorization();
    const onClosed = (event: unknown) => void closed.push((event as CloseEvent).code);
    const client = clientOf(scene, { connectionParams: old, on: { closed: onClosed }, retryAttempts: 1 });
    const inbox = new Inbox();
    listen(client, inbox);
    await inbox.begun();
    await scene.expire();
    await inbox.end();
    expect(new Set(closed)).toEqual(new Set([4401]));
    await scene.refresh();
    const again = new Inbox();
    const stop = listen(clientOf(scene), again, { after: inbox.cursor });
    await scene.aTask('After the refresh');
    await again.has('After the refresh');
    stop();
    await scene.isOver();
  });

  test('shows a refused operation as its errors, and keeps the socket', async () => {
    const scene = await sceneOf();
    const client = clientOf(scene);
    const inbox = new Inbox();
    listen(client, inbox, { after: 'no cursor' });
    const [error] = (await inbox.end()) as { extensions: object }[];
    expect(error?.extensions).toMatchObject({ code: 'BAD_USER_INPUT' });
    expect(await answerOf(client, '{ viewer { name } }')).toMatchObject({ data: { viewer: {} } });
  });
}

interface CloseEvent {
  readonly code: number;
}

function clientOf(scene: Scene, options: Partial<ClientOptions> = {}): Client {
  const client = createClient({
    url: scene.socketUrl,
    webSocketImpl: WebSocket,
    connectionParams: scene.authorization,
    retryWait: () => new Promise((resolve) => setTimeout(resolve, 20)),
    ...options,
  });
  onTestFinished(() => void client.dispose());
  return client;
}

function listen(client: Client, inbox: Inbox, variables: Record<string, unknown> = {}): () => void {
  return client.subscribe<{ taskEvents: never }>(
    { query: EVENTS, variables },
    {
      next: ({ data }) => inbox.next(data?.taskEvents),
      error: inbox.failed,
      complete: inbox.completed,
    },
  );
}

async function answerOf(client: Client, query: string, variables: Record<string, unknown> = {}) {
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what it asked for
  for await (const answer of client.iterate<any>({ query, variables })) return answer;
  throw new Error('no answer');
}
