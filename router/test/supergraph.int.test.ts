import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { until } from '../../tests/kit/until.ts';
import type { Router } from '../src/server.ts';
import { ask } from './fixture.ts';
import { aForeignRouter, aForeignSubgraph, composedOf, type ForeignSubgraph } from './foreign.ts';

/** One more field with each version; what clients ask stays. */
const sdlOf = (version: number) =>
  `type Query { hello: String  version: Int  slow: String  v${version}: Int }`;

async function aVersion(
  version: number,
  held: Promise<string> = Promise.resolve('slow'),
): Promise<ForeignSubgraph> {
  return aForeignSubgraph('greeter', sdlOf(version), {
    Query: { hello: () => 'hello', version: () => version, slow: () => held },
  });
}

/** As an editor or a deployment writes it: in one step. */
async function write(file: string, sdl: string): Promise<void> {
  await writeFile(`${file}.new`, sdl);
  await rename(`${file}.new`, file);
}

async function health(router: Router) {
  const response = await fetch(`${router.url}/health`);
  // biome-ignore lint/suspicious/noExplicitAny: a test reads into a report that it knows
  return ((await response.json()) as any).supergraph;
}

async function aRouterOverAFile(first: ForeignSubgraph) {
  const dir = await mkdtemp(join(tmpdir(), 'taskflow-swap-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const file = join(dir, 'supergraph.graphql');
  await write(file, composedOf([first]));
  const router = await aForeignRouter([first], {
    env: { ROUTER_SUPERGRAPH_FILE: file, ROUTER_SUPERGRAPH_POLL_MS: '20' },
  });
  return { router, file };
}

describe('the supergraph in use', () => {
  it('is replaced 20 times under load, and refused 10 times in between, without one failed request', async () => {
    const [even, odd] = [await aVersion(0), await aVersion(1)];
    const { router, file } = await aRouterOverAFile(even);
    let isOver = false;
    let answered = 0;
    const faults: unknown[] = [];
    const clients = Array.from({ length: 4 }, async (_unused, client) => {
      while (!isOver) {
        const { status, body } = await ask(router, `query C${client} { hello version }`);
        answered++;
        if (status !== 200 || body.errors || body.data.hello !== 'hello') faults.push(body);
      }
    });
    for (let swap = 1; swap <= 20; swap++) {
      if (swap % 2 === 0) {
        const bad =
          swap % 4 === 0 ? 'type Query {' : composedOf([{ ...odd, url: 'http://127.0.0.1:1/graphql' }]);
        await write(file, `${bad}\n# ${swap}`);
        await until('the refusal', async () => (await health(router)).refused);
      }
      const { url } = swap % 2 === 0 ? even : odd;
      await write(file, composedOf([{ ...even, url, sdl: sdlOf(swap) }]));
      await until('the swap', async () => Number((await health(router)).swaps) === swap);
    }
    isOver = true;
    await Promise.all(clients);
    expect(faults).toEqual([]);
    expect(answered).toBeGreaterThan(100);
    expect((await ask(router, '{ version }')).body.data).toEqual({ version: 0 });
    expect((await ask(router, '{ v20 }')).status).toBe(200);
    expect((await ask(router, '{ v1 }')).status).toBe(400);
    expect((await health(router)).refused).toBeNull();
  }, 90_000);

  it('ends an operation in flight where it began', async () => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const first = await aVersion(1, promise);
    const { router, file } = await aRouterOverAFile(first);
    const asked = ask(router, '{ slow v1 }');
    await until('the call', () => first.calls.length === 1);
    await write(file, composedOf([await aVersion(2)]));
    await until('the swap', async () => (await ask(router, '{ v2 version }')).body.data?.version === 2);
    expect((await ask(router, '{ v1 }')).status).toBe(400);
    resolve('late');
    expect((await asked).body).toEqual({ data: { slow: 'late', v1: null } });
  });

  it('stays when a new subgraph does not answer, says so, and goes once it does', async () => {
    const first = await aVersion(1);
    const { router, file } = await aRouterOverAFile(first);
    const second = await aVersion(2);
    await second.stop();
    await write(file, composedOf([second]));
    await until('the refusal', async () => (await health(router)).refused);
    const { version, refused } = await health(router);
    expect(refused).toEqual({
      version: expect.stringMatching(/^[0-9a-f]{12}$/),
      reason: 'SUBGRAPH_DOES_NOT_ANSWER',
      subgraphs: ['greeter'],
      since: expect.any(String),
    });
    expect((await ask(router, '{ version }')).body.data).toEqual({ version: 1 });
    const revived = createServer((request, response) => {
      request.resume();
      response.end('{"data":{"__typename":"Query"}}');
    });
    await new Promise<void>((resolve) =>
      revived.listen(Number(new URL(second.url).port), '127.0.0.1', resolve),
    );
    onTestFinished(() => void revived.close());
    await until('the swap', async () => (await health(router)).version !== version);
  });

  it('has planned what is asked most when it is swapped in', async () => {
    const { router, file } = await aRouterOverAFile(await aVersion(1));
    const hot = Array.from({ length: 10 }, (_unused, n) => `query Hot${n} { hello version }`);
    for (const text of hot) await ask(router, text);
    const compiled: string[] = [];
    router.supergraph.onSwap((next) => {
      const { compile } = next;
      Object.assign(next, {
        compile: (...args: Parameters<typeof compile>) => {
          const started = performance.now();
          const operation = compile(...args);
          compiled.push(performance.now() - started < 0.2 ? 'known' : 'planned');
          return operation;
        },
      });
    });
    await write(file, composedOf([await aVersion(2)]));
    await until('the swap', async () => (await health(router)).swaps);
    for (const text of hot) await ask(router, text);
    // Looking up what is known takes microseconds; a busy machine may stretch one of them.
    expect(compiled.filter((what) => what === 'planned').length).toBeLessThanOrEqual(1);
  });
});

/** An address that gives a supergraph, counts how it is asked, and can be away. */
async function aRegistry(sdl: string) {
  const registry = { sdl, answers: [] as number[], isAway: false };
  const server = createServer((request, response) => {
    const tag = `"${Buffer.from(registry.sdl).toString('base64url').slice(-40)}"`;
    const status = registry.isAway ? 503 : request.headers['if-none-match'] === tag ? 304 : 200;
    registry.answers.push(status);
    response.writeHead(status, { etag: tag }).end(status === 200 ? registry.sdl : '');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return Object.assign(registry, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/supergraph?key=secret`,
  });
}

describe('a supergraph at an address', () => {
  it('is asked with its ETag, swapped when it changes, and kept when it is away or wrong', async () => {
    const [first, second] = [await aVersion(1), await aVersion(2)];
    const registry = await aRegistry(composedOf([first]));
    const env = { ROUTER_SUPERGRAPH_URL: registry.url, ROUTER_SUPERGRAPH_URL_POLL_MS: '20' };
    const router = await aForeignRouter([first], { env });
    await until('an answer without a text', () => registry.answers.includes(304));
    expect(registry.answers.filter((status) => status === 200)).toHaveLength(1);
    registry.isAway = true;
    await until('the refusal', async () => (await health(router)).refused?.reason === 'UNREADABLE');
    expect((await ask(router, '{ version }')).body.data).toEqual({ version: 1 });
    registry.sdl = 'no supergraph';
    registry.isAway = false;
    await until('the refusal', async () => (await health(router)).refused?.reason === 'NOT_VALID');
    expect((await ask(router, '{ version }')).body.data).toEqual({ version: 1 });
    registry.sdl = composedOf([second]);
    await until('the swap', async () => (await ask(router, '{ version }')).body.data.version === 2);
    expect((await health(router)).refused).toBeNull();
  });

  it('is served from its last good copy when nobody answers at the start', async () => {
    const first = await aVersion(1);
    const registry = await aRegistry(composedOf([first]));
    const dir = await mkdtemp(join(tmpdir(), 'taskflow-copy-'));
    onTestFinished(() => rm(dir, { recursive: true, force: true }));
    const copy = join(dir, 'kept', 'supergraph.graphql');
    const env = {
      ROUTER_SUPERGRAPH_URL: registry.url,
      ROUTER_SUPERGRAPH_URL_POLL_MS: '0',
      ROUTER_SUPERGRAPH_COPY: copy,
    };
    await aForeignRouter([first], { env });
    expect(await readFile(copy, 'utf8')).toBe(registry.sdl);
    registry.isAway = true;
    const router = await aForeignRouter([first], { env });
    expect((await ask(router, '{ version }')).body.data).toEqual({ version: 1 });
    await rm(copy);
    await expect(aForeignRouter([first], { env })).rejects.toThrow(/cannot be served: HTTP 503/);
    await expect(aForeignRouter([first], { env })).rejects.not.toThrow(/secret/);
  });
});
