import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent, get } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { until } from '@taskflow/tests/kit/until';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { RouterConfig } from '../src/config.ts';
import type { Router } from '../src/server.ts';
import { aRouter, aSupergraph, ask, send, type TestSupergraph } from './fixture.ts';

let supergraph: TestSupergraph;

beforeEach(async () => {
  supergraph = await aSupergraph();
});

const withConnections =
  (limits: Partial<RouterConfig['connections']>) =>
  (config: RouterConfig): RouterConfig => ({ ...config, connections: { ...config.connections, ...limits } });

/** Everything that the router can be brought to answer, over both paths and beside them. */
const ANSWERS: [string, RequestInit, string?][] = [
  [
    'an answer',
    { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"query":"{ health }"}' },
  ],
  ['a refusal', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{' }],
  ['an answer of Apollo Server', { headers: { 'apollo-require-preflight': '1' } }, '/graphql?query={health}'],
  ['a refusal of Apollo Server', {}, '/graphql?query={health}'],
  ['a preflight', { method: 'OPTIONS', headers: { origin: 'http://localhost:3000' } }],
  ['a page', {}, '/'],
  ['nothing', {}, '/elsewhere'],
  ['health', {}, '/health/live'],
];

describe('an answer to a browser', () => {
  it('may not be guessed at, framed, run, or told on, whatever it is', async () => {
    const router = await aRouter(supergraph);
    for (const [what, init, path] of ANSWERS) {
      const { headers } = await send(router, init, path);
      expect([what, headers.get('x-content-type-options'), headers.get('x-frame-options')]).toEqual([
        what,
        'nosniff',
        'DENY',
      ]);
      expect([what, headers.get('referrer-policy')]).toEqual([what, 'no-referrer']);
      expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
      expect(headers.get('strict-transport-security')).toBeNull();
    }
  });

  it('tells it to come by HTTPS alone where the operator says so', async () => {
    const router = await aRouter(supergraph, (config) => ({ ...config, hstsMaxAgeS: 31_536_000 }));
    for (const [, init, path] of ANSWERS) {
      const { headers } = await send(router, init, path);
      expect(headers.get('strict-transport-security')).toBe('max-age=31536000; includeSubDomains');
    }
  });

  it('names an origin only when it is allowed, and never with credentials unless cookies are on', async () => {
    const router = await aRouter(supergraph, (config) => ({
      ...config,
      corsOrigins: ['https://app.acme.test'],
    }));
    for (const [origin, named] of [
      ['https://app.acme.test', 'https://app.acme.test'],
      ['https://evil.example', null],
      ['https://app.acme.test.evil.example', null],
      ['null', null],
    ] as const) {
      for (const [what, init, path] of ANSWERS.slice(0, 5)) {
        const { headers } = await send(router, { ...init, headers: { ...init.headers, origin } }, path);
        expect([what, headers.get('access-control-allow-origin')]).toEqual([what, named]);
        expect(headers.get('access-control-allow-credentials')).toBeNull();
        expect(headers.get('vary')).toContain('origin');
      }
    }
  });
});

/** Sends these bytes and no more; closed when the router (or the test) is done with it. */
async function halfOpen(router: Router, bytes: string): Promise<{ socket: Socket; closed: Promise<string> }> {
  const socket = connect(router.port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  let received = '';
  socket.on('data', (chunk) => {
    received += chunk;
  });
  socket.on('error', () => {});
  const closed = new Promise<string>((done) => socket.once('close', () => done(received)));
  await new Promise<void>((done) => socket.once('connect', () => done()));
  socket.write(bytes);
  return { socket, closed };
}

const HEAD = 'POST /graphql HTTP/1.1\r\nhost: router\r\ncontent-type: application/json\r\n';

describe('a client that sends slowly', () => {
  it('holds up nobody: 200 half-open requests are cut, and healthy ones beside them are answered', async () => {
    const router = await aRouter(
      supergraph,
      withConnections({ headersTimeoutMs: 500, requestTimeoutMs: 1_000 }),
    );
    const alone = await timesOf(router);
    const slow = await Promise.all(Array.from({ length: 200 }, () => halfOpen(router, HEAD)));
    const beside = await timesOf(router);
    // One that waits for any of the 200 would take 500 ms; the factor is for a machine that is busy with other tests.
    expect(median(beside)).toBeLessThan(Math.max(50, 3 * median(alone)));
    const answers = await Promise.all(slow.map(({ closed }) => closed));
    expect(new Set(answers.map((text) => text.split('\r\n', 1)[0]))).toEqual(
      new Set(['HTTP/1.1 408 Request Timeout']),
    );
  });

  it('is cut in the middle of its body as well', async () => {
    const router = await aRouter(
      supergraph,
      withConnections({ headersTimeoutMs: 500, requestTimeoutMs: 500 }),
    );
    const { closed } = await halfOpen(router, `${HEAD}content-length: 100\r\n\r\n{"query":`);
    expect(await closed).toMatch(/^(HTTP\/1\.1 408|$)/);
    expect(supergraph.calls).toEqual([]);
  });

  it('is refused when the head of its request is too large', async () => {
    const router = await aRouter(supergraph, withConnections({ headerBytesMax: 2_048 }));
    const { closed } = await halfOpen(router, `${HEAD}x: ${'y'.repeat(4_000)}\r\n\r\n`);
    expect(await closed).toMatch(/^HTTP\/1\.1 431/);
  });
});

async function timesOf(router: Router): Promise<number[]> {
  const times: number[] = [];
  for (let n = 0; n < 30; n++) {
    const startedAt = performance.now();
    expect((await ask(router, '{ health }')).status).toBe(200);
    times.push(performance.now() - startedAt);
  }
  return times;
}

const median = (times: number[]) => times.sort((one, other) => one - other)[times.length >> 1] ?? 0;

describe('connections', () => {
  it('end after as many requests as they may carry', async () => {
    const router = await aRouter(supergraph, withConnections({ requestsPerConnectionMax: 3 }));
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());
    const answers: (string | undefined)[] = [];
    for (let n = 0; n < 4; n++) {
      const [response] = await once(get(`${router.url}/health/live`, { agent }), 'response');
      answers.push(response.headers.connection);
      await response.resume().toArray();
    }
    expect(answers).toEqual(['keep-alive', 'keep-alive', 'close', 'keep-alive']);
  });

  it('of one address are as many as they may be, and another may come when one has gone', async () => {
    const router = await aRouter(supergraph, withConnections({ connectionsPerAddressMax: 3 }));
    const open = await Promise.all(Array.from({ length: 3 }, () => halfOpen(router, HEAD)));
    expect(await (await halfOpen(router, HEAD)).closed).toBe('');
    open[0]?.socket.destroy();
    await until(
      'a place',
      async () => (await fetch(`${router.url}/health/live`).catch(() => null))?.status === 200,
    );
  });
});

describe('an operator who takes a replica out of the balancer', () => {
  const readiness = (url: string) => fetch(`${url}/health/ready`);

  it('makes a file: readiness is 503, requests go on being answered, and without the file all is as before', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'taskflow-drain-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const drainFile = join(folder, 'drain');
    const router = await aRouter(supergraph, (config) => ({ ...config, drainFile }));
    await until('readiness', async () => (await readiness(router.url)).status === 200);
    await writeFile(drainFile, '');
    const out = await readiness(router.url);
    expect([out.status, await out.json()]).toEqual([
      503,
      { ready: false, reasons: ['drained'], degraded: [] },
    ]);
    expect((await fetch(`${router.url}/health/live`)).status).toBe(200);
    const answered = await ask(router, '{ health }');
    expect([answered.status, answered.headers.get('connection')]).toEqual([200, 'keep-alive']);
    await rm(drainFile);
    expect((await readiness(router.url)).status).toBe(200);
  });

  it('sends SIGUSR2 to the process, and a second one to give it back', async () => {
    const main = resolve(import.meta.dirname, '../src/main.ts');
    const args = ['--supergraph', supergraph.file, '--port', '0', '--anonymous'];
    const child = spawn(process.execPath, [main, ...args], { env: { PATH: process.env.PATH ?? '' } });
    onTestFinished(() => void child.kill('SIGKILL'));
    const [line] = await once(createInterface(child.stdout), 'line');
    const url = /http:\/\/\S+/.exec(line)?.[0] ?? '';
    expect((await readiness(url)).status).toBe(200);
    child.kill('SIGUSR2');
    await until('503', async () => (await readiness(url)).status === 503);
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
    child.kill('SIGUSR2');
    await until('200', async () => (await readiness(url)).status === 200);
  });
});
