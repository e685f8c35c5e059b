/** relay-runtime: a network layer by fetch, subscriptions over graphql-ws, artefacts as its compiler writes them. */
import { createClient } from 'graphql-ws';
import relay, { type ConcreteRequest, type Environment, type GraphQLResponse } from 'relay-runtime';
import { expect, onTestFinished, test } from 'vitest';
import WebSocket from 'ws';
import { CREATE, EVENTS, Inbox, type Scene, TASK, type TaskEvent } from './scene.ts';

export function tryRelay(sceneOf: () => Promise<Scene>): void {
  test('asks, changes, and hears of it; the store has it once; leaving ends it at the subgraph', async () => {
    const scene = await sceneOf();
    const environment = environmentOf(scene);
    const { inbox, stop } = listen(environment);
    await inbox.begun();
    const { id, title } = await createTask(environment, 'From Relay');
    await inbox.has(title);
    const data = await relay.fetchQuery(environment, TASK_QUERY, { id }).toPromise();
    expect(data).toEqual({ task: { id, title, assignee: null } });
    // The record that the mutation, the event and the query have written is one.
    expect(environment.getStore().getSource().get(id)).toMatchObject({ __typename: 'Task', id, title });
    stop();
    await scene.isOver();
  });

  test('says TOKEN_EXPIRED of an answer and of its socket, and goes on from the cursor', async () => {
    const scene = await sceneOf();
    const environment = environmentOf(scene);
    const first = listen(environment);
    await first.inbox.begun();
    await scene.expire();
    expect(await first.inbox.end()).toMatchObject({ code: 4401 });
    const refused = relay.fetchQuery(environment, TASK_QUERY, { id: 'x' }).toPromise();
    await expect(refused).rejects.toMatchObject({
      source: { errors: [{ extensions: { code: 'TOKEN_EXPIRED' } }] },
    });
    await scene.refresh();
    await scene.aTask('Missed by Relay');
    const again = listen(environment, first.inbox.cursor);
    await again.inbox.has('Missed by Relay');
    again.stop();
    await scene.isOver();
  });
}

function environmentOf(scene: Scene): Environment {
  const socket = createClient({
    url: scene.socketUrl,
    webSocketImpl: WebSocket,
    connectionParams: scene.authorization,
    retryAttempts: 0,
  });
  onTestFinished(() => void socket.dispose());
  const network = relay.Network.create(
    async ({ text }, variables) => {
      const response = await fetch(scene.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...scene.authorization() },
        body: JSON.stringify({ query: text, variables }),
      });
      return (await response.json()) as GraphQLResponse;
    },
    ({ text }, variables) =>
      relay.Observable.create((sink) =>
        socket.subscribe({ query: text ?? '', variables }, sink as Parameters<typeof socket.subscribe>[1]),
      ),
  );
  return new relay.Environment({ network, store: new relay.Store(new relay.RecordSource()) });
}

function createTask(environment: Environment, title: string) {
  return new Promise<{ id: string; title: string }>((resolve, reject) => {
    relay.commitMutation(environment, {
      mutation: CREATE_MUTATION,
      variables: { input: { title } },
      onCompleted: (data) => resolve((data as { taskCreate: { task: never } }).taskCreate.task),
      onError: reject,
    });
  });
}

function listen(environment: Environment, after?: string) {
  const inbox = new Inbox();
  const { dispose } = relay.requestSubscription(environment, {
    subscription: EVENTS_SUBSCRIPTION,
    variables: { after },
    onNext: (data) => inbox.next((data as { taskEvents: TaskEvent } | null)?.taskEvents),
    onError: inbox.failed,
    onCompleted: inbox.completed,
  });
  return { inbox, stop: dispose };
}

const scalar = (name: string) => ({ kind: 'ScalarField', alias: null, args: null, name, storageKey: null });

function linked(name: string, concreteType: string | null, selections: object[], argument?: string) {
  const args = argument ? [{ kind: 'Variable', name: argument, variableName: argument }] : null;
  const plain = { alias: null, plural: false, storageKey: null };
  return { kind: 'LinkedField', name, concreteType, args, selections, ...plain };
}

function requestOf(
  operationKind: 'query' | 'mutation' | 'subscription',
  text: string,
  variable: string,
  selections: object[],
): ConcreteRequest {
  const name = /\w+ (\w+)/.exec(text)?.[1] ?? '';
  const argumentDefinitions = [{ defaultValue: null, kind: 'LocalArgument', name: variable }];
  const type = operationKind.replace(/^./, (letter) => letter.toUpperCase());
  return {
    kind: 'Request',
    fragment: {
      kind: 'Fragment',
      name,
      type,
      metadata: null,
      abstractKey: null,
      argumentDefinitions,
      selections,
    },
    operation: { kind: 'Operation', name, argumentDefinitions, selections },
    params: { cacheID: name, id: null, metadata: {}, name, operationKind, text },
  } as unknown as ConcreteRequest;
}

const NAMED = [scalar('id'), scalar('title')];
const TASK_QUERY = requestOf('query', TASK, 'id', [
  linked('task', 'Task', [...NAMED, linked('assignee', 'User', [scalar('id'), scalar('name')])], 'id'),
]);
const CREATE_MUTATION = requestOf('mutation', CREATE, 'input', [
  linked('taskCreate', 'TaskPayload', [scalar('success'), linked('task', 'Task', NAMED)], 'input'),
]);
const EVENTS_SUBSCRIPTION = requestOf('subscription', EVENTS, 'after', [
  linked(
    'taskEvents',
    null,
    [
      scalar('__typename'),
      {
        kind: 'InlineFragment',
        type: 'TaskChange',
        abstractKey: null,
        selections: [scalar('cursor'), scalar('kind'), linked('task', 'Task', NAMED)],
      },
      { kind: 'InlineFragment', type: 'StreamHeartbeat', abstractKey: null, selections: [scalar('cursor')] },
    ],
    'after',
  ),
]);
