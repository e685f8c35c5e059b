/** graphql-sse's own client, in its distinct connections mode: every operation is a stream of events. */
import { type Client, type ClientOptions, createClient, NetworkError } from 'graphql-sse';
import { expect, onTestFinished, test } from 'vitest';
import { CREATE, EVENTS, Inbox, type Scene, TASK } from './scene.ts';

export function tryGraphqlSse(sceneOf: () => Promise<Scene>): void {
  test('asks, changes, and hears of it; leaving ends it at the subgraph', async () => {
    const scene = await sceneOf();
    const client = clientOf(scene);
    const inbox = new Inbox();
    const stop = listen(client, inbox);
    await inbox.begun();
    const created = await answerOf(client, CREATE, { input: { title: 'From graphql-sse' } });
    await inbox.has('From graphql-sse');
    const { id } = created.data.taskCreate.task;
    expect(await answerOf(client, TASK, { id })).toMatchObject({
      data: { task: { title: 'From graphql-sse' } },
    });
    stop();
    await scene.isOver();
  });

  test('reads of its token’s end, goes on from the cursor, and asks for a new token when it is refused with the old', async () => {
    const scene = await sceneOf();
    const client = clientOf(scene);
    const first = new Inbox();
    listen(client, first);
    await first.begun();
    await scene.expire();
    await first.end();
    expect(first.errors[0]?.extensions).toMatchObject({ code: 'TOKEN_EXPIRED', cursor: first.cursor });
    expect(first.isComplete).toBe(true);
    const refusals: number[] = [];
    const renewing = clientOf(scene, {
      retryAttempts: 1,
      retry: async () => {
        refusals.push(1);
        await scene.refresh();
      },
    });
    const again = new Inbox();
    const stop = listen(renewing, again, { after: first.cursor });
    await again.begun();
    await scene.aTask('After the refresh, as events');
    await again.has('After the refresh, as events');
    expect(refusals).toHaveLength(1);
    stop();
    await scene.isOver();
  });

  test('shows a refused operation as its errors, and a refused caller as a failed request', async () => {
    const scene = await sceneOf();
    const answer = await answerOf(clientOf(scene), '{ nothing }');
    expect(answer.errors[0].extensions.code).toBe('GRAPHQL_VALIDATION_FAILED');
    const inbox = new Inbox();
    listen(clientOf(scene, { headers: { authorization: 'Bearer forged' }, retryAttempts: 0 }), inbox);
    const error = (await inbox.end()) as NetworkError<Response>;
    expect(error).toBeInstanceOf(NetworkError);
    expect(error.response?.status).toBe(401);
  });
}

function clientOf(scene: Scene, options: Partial<ClientOptions> = {}): Client {
  const client = createClient({ url: scene.url, headers: scene.authorization, ...options } as ClientOptions);
  onTestFinished(() => client.dispose());
  return client;
}

function listen(client: Client, inbox: Inbox, variables: Record<string, unknown> = {}): () => void {
  return client.subscribe<{ taskEvents: never }>(
    { query: EVENTS, variables },
    {
      next: ({ data, errors }) => {
        inbox.errors.push(...((errors ?? []) as never[]));
        inbox.next(data?.taskEvents);
      },
      error: inbox.failed,
      complete: inbox.completed,
    },
  );
}

async function answerOf(client: Client, query: string, variables: Record<string, unknown> = {}) {
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what it asked for
  for await (const answer of client.iterate<any>({ query, variables })) return answer as any;
  throw new Error('no answer');
}
