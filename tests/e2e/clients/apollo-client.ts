/** Apollo Client 4: HttpLink for everything, GraphQLWsLink for subscriptions, APQ. */
import { createHash } from 'node:crypto';
import {
  ApolloClient,
  type ApolloLink,
  CombinedGraphQLErrors,
  CombinedProtocolErrors,
  gql,
  HttpLink,
  InMemoryCache,
} from '@apollo/client';
import { Defer20220824Handler } from '@apollo/client/incremental';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { createClient } from 'graphql-ws';
import { expect, onTestFinished, test } from 'vitest';
import WebSocket from 'ws';
import { CREATE, DEFERRED, EVENTS, Inbox, type Scene, TASK, type TaskEvent } from './scene.ts';

export function tryApolloClient(sceneOf: () => Promise<Scene>): void {
  test('asks, changes, and hears of it as multipart; leaving ends it at the subgraph', async () => {
    const scene = await sceneOf();
    const client = clientOver(httpLink(scene));
    const { inbox, stop } = listen(client);
    await inbox.begun();
    const created = await client.mutate<{ taskCreate: { task: { id: string } } }>({
      mutation: gql(CREATE),
      variables: { input: { title: 'From Apollo' } },
    });
    await inbox.has('From Apollo');
    const { data } = await client.query({
      query: gql(TASK),
      variables: { id: created.data?.taskCreate.task.id },
    });
    expect(data).toMatchObject({ task: { title: 'From Apollo', assignee: null } });
    stop();
    await scene.isOver();
  });

  test('says TOKEN_EXPIRED of an answer and of a stream, which goes on from its cursor', async () => {
    const scene = await sceneOf();
    const client = clientOver(httpLink(scene));
    const first = listen(client);
    await first.inbox.begun();
    await scene.aTask('Before');
    await first.inbox.has('Before');
    await scene.expire();
    const error = (await first.inbox.end()) as CombinedProtocolErrors;
    expect(CombinedProtocolErrors.is(error)).toBe(true);
    expect(error.errors[0]?.extensions).toMatchObject({ code: 'TOKEN_EXPIRED', cursor: first.inbox.cursor });
    const refused = await client
      .query({ query: gql(TASK), variables: { id: 'x' } })
      .catch((reason) => reason);
    expect(CombinedGraphQLErrors.is(refused)).toBe(true);
    expect(refused.errors[0].extensions.code).toBe('TOKEN_EXPIRED');
    await scene.refresh();
    await scene.aTask('Meanwhile');
    const again = listen(client, String(error.errors[0]?.extensions?.cursor));
    await again.inbox.has('Meanwhile');
    expect(again.inbox.titles()).toEqual(['Meanwhile']);
    again.stop();
    await scene.isOver();
  });

  test('shows a refusal as an error with its code, of a stream too', async () => {
    const scene = await sceneOf();
    const client = clientOver(httpLink(scene));
    const refused = await client.query({ query: gql('{ nothing }') }).catch((reason) => reason);
    expect(CombinedGraphQLErrors.is(refused)).toBe(true);
    expect(refused.errors[0].extensions.code).toBe('GRAPHQL_VALIDATION_FAILED');
    const { inbox } = listen(client, 'no cursor');
    const error = (await inbox.end()) as CombinedProtocolErrors;
    expect(error.errors[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT' });
  });

  test('sends a hash in place of a text that is known', async () => {
    const scene = await sceneOf();
    const bodies: object[] = [];
    const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
    const link = new PersistedQueryLink({ sha256 }).concat(httpLink(scene, (body) => void bodies.push(body)));
    const client = clientOver(link);
    const query = gql(TASK.replace('Task', `Task${Date.now()}`));
    for (const title of ['One', 'Two']) {
      const { id } = await scene.aTask(title);
      expect((await client.query({ query, variables: { id } })).data).toMatchObject({ task: { id, title } });
    }
    // Unknown, so with its text; then known.
    expect(bodies.map((body) => 'query' in body)).toEqual([false, true, false]);
  });

  test('shows what comes first of an answer with @defer, and then the rest', async () => {
    const scene = await sceneOf();
    const client = clientOver(httpLink(scene));
    const { id } = await scene.aTask('In parts');
    const seen: [string, string[]][] = [];
    await new Promise<void>((resolve, reject) => {
      client.watchQuery<{ task: object }>({ query: gql(DEFERRED), variables: { id } }).subscribe({
        next({ data, dataState }) {
          if (data?.task) seen.push([dataState, Object.keys(data.task)]);
          if (dataState === 'complete') resolve();
        },
        error: reject,
      });
    });
    expect(seen).toEqual([
      ['streaming', ['__typename', 'id', 'title']],
      ['complete', ['__typename', 'id', 'title', 'creator']],
    ]);
  });

  test('hears of changes over a WebSocket', async () => {
    const scene = await sceneOf();
    const socket = createClient({
      url: scene.socketUrl,
      webSocketImpl: WebSocket,
      connectionParams: scene.authorization,
    });
    onTestFinished(() => void socket.dispose());
    const { inbox, stop } = listen(clientOver(new GraphQLWsLink(socket)));
    await inbox.begun();
    await scene.aTask('Over the socket');
    await inbox.has('Over the socket');
    stop();
    await scene.isOver();
  });
}

function clientOver(link: ApolloLink): ApolloClient {
  const client = new ApolloClient({
    link,
    incrementalHandler: new Defer20220824Handler(),
    cache: new InMemoryCache({
      possibleTypes: { TaskEvent: ['TaskChange', 'StreamHeartbeat', 'ResyncRequired'] },
    }),
  });
  onTestFinished(() => client.stop());
  return client;
}

function httpLink(scene: Scene, onBody: (body: object) => void = () => {}): HttpLink {
  return new HttpLink({
    uri: scene.url,
    fetch: (uri, init) => {
      if (typeof init?.body === 'string') onBody(JSON.parse(init.body));
      return fetch(uri, { ...init, headers: { ...(init?.headers as object), ...scene.authorization() } });
    },
  });
}

function listen(client: ApolloClient, after?: string) {
  const inbox = new Inbox();
  const subscription = client
    .subscribe<{ taskEvents: TaskEvent }>({
      query: gql(EVENTS),
      variables: { after },
      fetchPolicy: 'no-cache',
    })
    .subscribe({
      next: ({ data, error }) => {
        if (error) inbox.failed(error);
        else inbox.next(data?.taskEvents);
      },
      error: inbox.failed,
      complete: inbox.completed,
    });
  return { inbox, stop: () => subscription.unsubscribe() };
}
