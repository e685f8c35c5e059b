/** relay-runtime: a network layer by fetch, subscriptions over graphql-ws, artefacts as its compiler writes them. */
import { createClient } from 'graphql-ws';
import relay, { type ConcreteRequest, type Environment, type GraphQLResponse } from 'relay-runtime';
import { expect, onTestFinished, test } from 'vitest';
import WebSocket from 'ws';
import { CREATE, DEFERRED, EVENTS, Inbox, type Scene, TASK, type TaskEvent } from './scene.ts';

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

  test('shows what comes first of an answer with @defer, and then the rest', async () => {
    const scene = await sceneOf();
    const { id } = await scene.aTask('In parts');
    const environment = environmentOf(scene);
    const seen: boolean[] = [];
    await new Promise<void>((resolve, reject) => {
      const operation = relay.createOperationDescriptor(DEFERRED_QUERY, { id });
      environment.execute({ operation }).subscribe({
        next: () => void seen.push(environment.getStore().getSource().get(id)?.creator !== undefined),
        complete: resolve,
        error: reject,
      });
    });
    expect(seen).toEqual([false, true]);
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
    ({ text }, variables) =>
      relay.Observable.create((sink) => {
        ask(scene, { query: text, variables }, sink.next).then(sink.complete, sink.error);
      }),
    ({ text }, variables) =>
      relay.Observable.create((sink) =>
        socket.subscribe({ query: text ?? '', variables }, sink as Parameters<typeof socket.subscribe>[1]),
      ),
  );
  return new relay.Environment({ network, store: new relay.Store(new relay.RecordSource()) });
}

/** One answer, or one and its parts. */
async function ask(scene: Scene, body: object, next: (response: GraphQLResponse) => void): Promise<void> {
  const response = await fetch(scene.url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'multipart/mixed;deferSpec=20220824, application/json',
      ...scene.authorization(),
    },
    body: JSON.stringify(body),
  });
  if (!response.headers.get('content-type')?.startsWith('multipart/mixed')) {
    next((await response.json()) as GraphQLResponse);
    return;
  }
  let text = '';
  for await (const chunk of response.body ?? []) {
    const parts = (text + new TextDecoder().decode(chunk)).split('\r\n---');
    text = parts.pop() ?? '';
    for (const part of parts) {
      const json = part.split('\r\n\r\n')[1];
      if (json) for (const answer of inRelaysWords(JSON.parse(json))) next(answer);
    }
  }
}

/** Relay reads each part of the draft as a response, and wants to know of the last. */
function inRelaysWords({ incremental, hasNext, ...first }: Part): GraphQLResponse[] {
  const is_final = !hasNext;
  const answers = (incremental ?? [first]).map((answer, index, all) => ({
    ...answer,
    extensions: { is_final: is_final && index === all.length - 1 },
  }));
  return answers as unknown as GraphQLResponse[];
}

interface Part {
  readonly data?: object;
  readonly incremental?: readonly object[];
  readonly hasNext: boolean;
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
const DEFERRED_QUERY = requestOf('query', DEFERRED, 'id', [
  linked(
    'task',
    'Task',
    [
      scalar('__typename'),
      ...NAMED,
      {
        kind: 'Defer',
        if: null,
        label: 'Deferred$defer$Rest',
        selections: [
          {
            kind: 'InlineFragment',
            type: 'Task',
            abstractKey: null,
            selections: [linked('creator', 'User', [scalar('__typename'), scalar('id'), scalar('name')])],
          },
        ],
      },
    ],
    'id',
  ),
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
