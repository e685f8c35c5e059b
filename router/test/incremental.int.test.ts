import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ApolloClient, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { Defer20220824Handler } from '@apollo/client/incremental';
import { expect, onTestFinished, test } from 'vitest';
import type { Answer } from '../src/exchange.ts';
import type { DeferredPart } from '../src/execution/compiled-operation.ts';
import { send } from '../src/http.ts';
import { aRouter, aSupergraph, aViewer } from './fixture.ts';

const ACCEPT = { accept: 'multipart/mixed;deferSpec=20220824, application/json' };

/** A server that gives every request this answer. */
async function serving(answerOf: () => Answer): Promise<string> {
  const server: Server = createServer((request, response) => {
    request.resume().once('end', () => {
      void send(request, response, answerOf(), false).catch(() => response.destroy());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`;
}

function inParts(parts: AsyncIterable<DeferredPart>): Answer {
  return { status: 200, headers: {}, body: { dataText: '{"me":{"__typename":"User","id":"1"}}' }, parts };
}

async function* twoParts(): AsyncGenerator<DeferredPart> {
  yield { incremental: [{ path: ['me'], label: 'slow', dataText: '{"name":"Ada"}' }], hasNext: true };
  yield { incremental: [{ path: ['me'], dataText: 'null', errors: [{ message: 'no' }] }], hasNext: false };
}

test('an answer in parts has the bytes of Apollo Server', async () => {
  const response = await fetch(await serving(() => inParts(twoParts())), { headers: ACCEPT });
  expect(response.headers.get('content-type')).toBe('multipart/mixed; boundary="-"; deferSpec=20220824');
  const head = 'content-type: application/json; charset=utf-8\r\n\r\n';
  expect(await response.text()).toBe(
    `\r\n---\r\n${head}{"data":{"me":{"__typename":"User","id":"1"}},"hasNext":true}\r\n---\r\n` +
      `${head}{"incremental":[{"data":{"name":"Ada"},"path":["me"],"label":"slow"}],"hasNext":true}\r\n---\r\n` +
      `${head}{"incremental":[{"data":null,"path":["me"],"errors":[{"message":"no"}]}],"hasNext":false}\r\n-----\r\n`,
  );
});

test('Apollo Client takes it, and shows each part as it comes', async () => {
  const gate = Promise.withResolvers<void>();
  async function* parts(): AsyncGenerator<DeferredPart> {
    await gate.promise;
    yield { incremental: [{ path: ['me'], dataText: '{"name":"Ada"}' }], hasNext: false };
  }
  const client = new ApolloClient({
    link: new HttpLink({ uri: await serving(() => inParts(parts())) }),
    cache: new InMemoryCache(),
    incrementalHandler: new Defer20220824Handler(),
  });
  onTestFinished(() => client.stop());
  const seen: unknown[] = [];
  await new Promise<void>((resolve, reject) => {
    client.watchQuery({ query: gql('{ me { id ... @defer { name } } }') }).subscribe({
      next({ data, dataState }) {
        if (dataState === 'empty') return;
        seen.push([dataState, data]);
        if (dataState === 'complete') resolve();
        else gate.resolve();
      },
      error: reject,
    });
  });
  expect(seen).toEqual([
    ['streaming', { me: { __typename: 'User', id: '1' } }],
    ['complete', { me: { __typename: 'User', id: '1', name: 'Ada' } }],
  ]);
});

test('a client that leaves ends the parts, and parts that fail cut the answer', async () => {
  const isOver = Promise.withResolvers<string>();
  async function* endless(): AsyncGenerator<DeferredPart> {
    try {
      for (;;) {
        yield { incremental: [{ path: ['me'], dataText: `"${'x'.repeat(10_000)}"` }], hasNext: true };
        await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      isOver.resolve('over');
    }
  }
  const leaving = new AbortController();
  await fetch(await serving(() => inParts(endless())), { headers: ACCEPT, signal: leaving.signal });
  leaving.abort();
  expect(await isOver.promise).toBe('over');

  // biome-ignore lint/correctness/useYield: it fails before its first part
  async function* failing(): AsyncGenerator<DeferredPart> {
    throw new Error('a bug');
  }
  const cut = await fetch(await serving(() => inParts(failing())), { headers: ACCEPT });
  await expect(cut.text()).rejects.toThrow();
});

test('whoever takes parts alone gets an answer without any as the only one', async () => {
  const url = await serving(() => ({ status: 200, headers: {}, body: { dataText: '{"me":null}' } }));
  const alone = await fetch(url, { headers: { accept: 'multipart/mixed;deferSpec=20220824' } });
  expect(await alone.text()).toMatch(/\{"data":\{"me":null\},"hasNext":false\}\r\n-----\r\n$/);
  const json = await fetch(url, { headers: ACCEPT });
  expect([json.headers.get('content-type'), await json.text()]).toEqual([
    'application/json; charset=utf-8',
    '{"data":{"me":null}}',
  ]);
});

test('the router answers @defer in parts on the hot path, by GET as well, and in one piece to everybody else', async () => {
  const supergraph = await aSupergraph();
  const router = await aRouter(supergraph);
  const withPlugins = await aRouter(supergraph, undefined, { plugins: [{}] });
  const query = '{ tasks(count: 1) { title assignee { id ... @defer { name } } } }';
  const headers = {
    'content-type': 'application/json',
    authorization: `Bearer ${supergraph.tokenFor(aViewer())}`,
  };
  const post = (url: string, accept: string) =>
    fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { ...headers, accept },
      body: JSON.stringify({ query }),
    });
  const get = (accept: string) =>
    fetch(`${router.url}/graphql?${new URLSearchParams({ query })}`, { headers: { ...headers, accept } });

  for (const response of [await post(router.url, ACCEPT.accept), await get(ACCEPT.accept)]) {
    const text = await response.text();
    expect(text).toContain('{"data":{"tasks":[{"title":"Task 0","assignee":{"id":"u0"}}]},"hasNext":true}');
    expect(text).toContain('"incremental":[{"data":{"name":"name of u0"},"path":["tasks",0,"assignee"]}]');
    expect(text).toMatch(/"hasNext":false\}\r\n-----\r\n$/);
  }
  const whole = { tasks: [{ title: 'Task 0', assignee: { id: 'u0', name: 'name of u0' } }] };
  for (const response of [
    await post(router.url, 'application/json'),
    await get('application/json'),
    await post(withPlugins.url, ACCEPT.accept),
  ]) {
    expect(response.headers.get('content-type')).toMatch(/^application\/json/);
    expect(((await response.json()) as { data: object }).data).toEqual(whole);
  }
});
