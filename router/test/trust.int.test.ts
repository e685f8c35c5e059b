import { createHmac, generateKeyPairSync } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseKeyRing } from '@taskflow/kit/config';
import { verifyContext } from '@taskflow/kit/identity';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { Router } from '../src/server.ts';
import {
  aRouter,
  aSupergraph,
  ask,
  aViewer,
  codesOf,
  GRACE,
  type TestSupergraph,
  type TokenParts,
} from './fixture.ts';

let supergraph: TestSupergraph;
let router: Router;

beforeEach(async () => {
  supergraph = await aSupergraph();
  router = await aRouter(supergraph);
});

const secondsFromNow = (seconds: number) => Math.floor(Date.now() / 1000) + seconds;
const base64 = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

describe('an access token', () => {
  it('makes its claims the viewer of every subgraph call', async () => {
    const viewer = aViewer({ role: 'MANAGER' });
    const { status, body } = await ask(router, '{ me { id openTaskCount } }', {
      token: supergraph.tokenFor(viewer),
    });
    expect([status, body]).toEqual([200, { data: { me: { id: viewer.userId, openTaskCount: 3 } } }]);
    expect(
      supergraph.calls.map(({ subgraph, claims }) => [subgraph, claims.viewer, claims.audience]),
    ).toEqual([
      ['user', viewer, 'user'],
      ['task', viewer, 'task'],
    ]);
  });

  const foreign = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const bad: [string, TokenParts, string][] = [
    ['of another issuer', { claims: { iss: 'other' } }, 'UNAUTHENTICATED'],
    ['for another audience', { claims: { aud: 'other' } }, 'UNAUTHENTICATED'],
    ['that has expired', { claims: { exp: 1_000_000_000 } }, 'TOKEN_EXPIRED'],
    ['that is not valid yet', { claims: { nbf: 4_000_000_000 } }, 'UNAUTHENTICATED'],
    ['of another type', { header: { typ: 'JWT' } }, 'UNAUTHENTICATED'],
    ['without a type', { header: { typ: undefined } }, 'UNAUTHENTICATED'],
    ['whose type is a number', { header: { typ: 5 } }, 'UNAUTHENTICATED'],
    ['of an unknown key', { header: { kid: 'unknown' } }, 'UNAUTHENTICATED'],
    ['with a path as key', { header: { kid: '../../etc/passwd' } }, 'UNAUTHENTICATED'],
    ['without a key id', { header: { kid: undefined } }, 'UNAUTHENTICATED'],
    ['signed by a foreign key', { key: foreign }, 'UNAUTHENTICATED'],
    ['signed with RS256', { key: rsa, algorithm: 'RS256' }, 'UNAUTHENTICATED'],
    ['signed with HS256', { key: 'a-secret', algorithm: 'HS256' }, 'UNAUTHENTICATED'],
    ['without a signature', { key: '', algorithm: 'none' }, 'UNAUTHENTICATED'],
    [
      'that names a key of its own',
      { key: foreign, header: { jku: 'http://127.0.0.1:1/jwks' } },
      'UNAUTHENTICATED',
    ],
    ['without an organisation', { claims: { org_id: undefined } }, 'UNAUTHENTICATED'],
    ['without a session', { claims: { sid: undefined } }, 'UNAUTHENTICATED'],
    ['without an epoch', { claims: { ep: undefined } }, 'UNAUTHENTICATED'],
    ['of an unknown role', { claims: { role: 'OWNER' } }, 'UNAUTHENTICATED'],
    ['whose subject is no id', { claims: { sub: { $ne: null } } }, 'UNAUTHENTICATED'],
    ['without a subject', { claims: { sub: undefined } }, 'UNAUTHENTICATED'],
    ['whose organisation is a list', { claims: { org_id: ['a', 'b'] } }, 'UNAUTHENTICATED'],
    ['whose role is a list', { claims: { role: ['ORG_ADMIN'] } }, 'UNAUTHENTICATED'],
    ['whose epoch is text', { claims: { ep: '1' } }, 'UNAUTHENTICATED'],
    ['that never expires', { claims: { exp: undefined } }, 'UNAUTHENTICATED'],
    ['that expires in text', { claims: { exp: '4000000000' } }, 'UNAUTHENTICATED'],
    ['without an issuer', { claims: { iss: undefined } }, 'UNAUTHENTICATED'],
    ['of a list of issuers', { claims: { iss: ['taskflow'] } }, 'UNAUTHENTICATED'],
    ['without an audience', { claims: { aud: undefined } }, 'UNAUTHENTICATED'],
    ['for an audience that begins alike', { claims: { aud: 'taskflow-api-admin' } }, 'UNAUTHENTICATED'],
    ['that expired ten seconds ago', { claims: { exp: secondsFromNow(-10) } }, 'TOKEN_EXPIRED'],
  ];

  it('is good within five seconds of skew between clocks', async () => {
    for (const claims of [{ nbf: secondsFromNow(4) }, { iat: secondsFromNow(4) }]) {
      const answer = await ask(router, '{ me { id } }', {
        token: supergraph.tokenFor(aViewer(), { claims }),
      });
      expect(answer.status).toBe(200);
    }
  });

  // Not a row above: those are written down when the file is read, and its tests may take longer than that.
  it('is refused ten seconds before it is valid', async () => {
    const token = supergraph.tokenFor(aViewer(), { claims: { nbf: secondsFromNow(10) } });
    expect(codesOf(await ask(router, '{ me { id } }', { token }))).toEqual(['UNAUTHENTICATED']);
  });

  it.each(bad)('%s is refused with 401 and reaches no subgraph', async (_what, parts, code) => {
    const answer = await ask(router, '{ me { id } }', { token: supergraph.tokenFor(aViewer(), parts) });
    expect([answer.status, codesOf(answer), supergraph.calls]).toEqual([401, [code], []]);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
  });

  it('signed with the public key as a secret is refused', async () => {
    const good = supergraph.tokenFor(aViewer());
    const [header, claims] = good.split('.') as [string, string];
    const kid = JSON.parse(Buffer.from(header, 'base64url').toString()).kid;
    const jwks = await (
      await fetch(supergraph.urls.user.replace('/graphql', '/.well-known/jwks.json'))
    ).text();
    const forgedHead = base64({ alg: 'HS256', typ: 'at+jwt', kid });
    const mac = createHmac('sha256', jwks).update(`${forgedHead}.${claims}`).digest('base64url');
    expect(codesOf(await ask(router, '{ me { id } }', { token: `${forgedHead}.${claims}.${mac}` }))).toEqual([
      'UNAUTHENTICATED',
    ]);
  });

  it.each(['Bearer', 'Bearer a b', 'Basic YTpi', 'Bearer x.y.z', 'Bearer ..', 'token'])(
    'in the header "%s" is refused',
    async (authorization) => {
      const answer = await ask(router, '{ me { id } }', { headers: { authorization } });
      expect([answer.status, codesOf(answer), supergraph.calls]).toEqual([401, ['UNAUTHENTICATED'], []]);
    },
  );

  it('with a changed claim is refused', async () => {
    const [header, claims, mac] = supergraph.tokenFor(aViewer()).split('.') as [string, string, string];
    const changed = base64({ ...JSON.parse(Buffer.from(claims, 'base64url').toString()), role: 'ORG_ADMIN' });
    expect(codesOf(await ask(router, '{ me { id } }', { token: `${header}.${changed}.${mac}` }))).toEqual([
      'UNAUTHENTICATED',
    ]);
  });

  it('is asked for again when it ends while it is remembered', async () => {
    const exp = Math.floor(Date.now() / 1000) + 1;
    const token = supergraph.tokenFor(aViewer(), { claims: { exp } });
    expect((await ask(router, '{ me { id } }', { token })).status).toBe(200);
    await expect
      .poll(async () => codesOf(await ask(router, '{ me { id } }', { token })), { timeout: 4_000 })
      .toEqual(['TOKEN_EXPIRED']);
  });
});

describe('the key set', () => {
  it('is fetched once for many tokens, and again for a new key', async () => {
    const use = () => ask(router, '{ me { id } }', { token: supergraph.tokenFor(aViewer()) });
    await Promise.all(Array.from({ length: 10 }, use));
    expect(supergraph.jwksRequests()).toBe(1);
    supergraph.rotateKeys();
    await expect.poll(async () => (await use()).status, { timeout: 10_000 }).toBe(200);
    expect(supergraph.jwksRequests()).toBe(2);
  });

  it('is fetched five times and then once a second for a thousand invented key ids, and a genuine new key gets through', async () => {
    await ask(router, '{ me { id } }', { token: supergraph.tokenFor(aViewer()) });
    const before = supergraph.jwksRequests();
    const startedAt = performance.now();
    const invented = (n: number) => supergraph.tokenFor(aViewer(), { header: { kid: `invented-${n}` } });
    const flood = Promise.all(
      Array.from({ length: 1_000 }, (_, n) => ask(router, '{ me { id } }', { token: invented(n) })),
    );
    supergraph.rotateKeys();
    const genuine = ask(router, '{ me { id } }', { token: supergraph.tokenFor(aViewer()) });
    expect((await genuine).status).toBe(200);
    expect(new Set((await flood).map(({ status }) => status))).toEqual(new Set([401]));
    const seconds = (performance.now() - startedAt) / 1_000;
    expect(supergraph.jwksRequests() - before).toBeLessThanOrEqual(5 + Math.ceil(seconds));
    // With nothing left of the burst: the next new key waits for its fetch, and is not refused either.
    await Promise.all(
      Array.from({ length: 20 }, (_, n) => ask(router, '{ me { id } }', { token: invented(-n) })),
    );
    supergraph.rotateKeys();
    const next = await ask(router, '{ me { id } }', { token: supergraph.tokenFor(aViewer()) });
    expect(next.status).toBe(200);
  }, 30_000);

  it('goes on verifying while the user service is away, and says "later" before it was ever there', async () => {
    const token = supergraph.tokenFor(aViewer());
    await ask(router, '{ tasks(count: 1) { id } }', { token });
    const late = await aRouter(supergraph);
    await supergraph.services.user.stop();
    expect(
      (await ask(router, '{ tasks(count: 1) { id } }', { token: supergraph.tokenFor(aViewer()) })).status,
    ).toBe(200);
    const answer = await ask(late, '{ tasks(count: 1) { id } }', { token });
    expect([answer.status, codesOf(answer)]).toEqual([503, ['SUBGRAPH_UNAVAILABLE']]);
  });
});

describe('an anonymous request', () => {
  it('reaches what the subgraph keeps open', async () => {
    expect((await ask(router, '{ health }')).body).toEqual({ data: { health: 'fine' } });
    expect(supergraph.calls[0]?.claims.viewer).toBeNull();
  });

  it('is told to sign in with 401 for anything else, in words for people', async () => {
    const answer = await ask(router, '{ me { id } }');
    expect([answer.status, codesOf(answer)]).toEqual([401, ['UNAUTHENTICATED']]);
    expect(answer.body.errors[0].message).toBe('Please sign in: this needs an access token.');
  });

  it('goes on as the viewer that a credential mutation established', async () => {
    const { body } = await ask(
      router,
      'mutation { login(name: "grace") { success user { id name openTaskCount } } }',
    );
    expect(body).toEqual({
      data: { login: { success: true, user: { id: 'grace', name: 'name of grace', openTaskCount: 3 } } },
    });
    expect(supergraph.calls.map(({ subgraph, claims }) => [subgraph, claims.viewer])).toEqual([
      ['user', null],
      ['task', GRACE],
    ]);
  });
});

describe('what a client writes in headers', () => {
  it('reaches no subgraph as identity, however it is spelt', async () => {
    const seen = await aRecordingSubgraph(supergraph);
    const viewer = aViewer();
    const spoofed = {
      'taskflow-context': 'v1.dev.e30.AAAA',
      'Taskflow-Established': 'v1.dev.e30.AAAA',
      'x-user-id': 'mallory',
      'x-tenant-id': 'other',
      'x-org-id': 'other',
      'x-taskflow-viewer': 'mallory',
      x_user_id: 'mallory',
      cookie: 'session=1',
      'x-forwarded-for': '6.6.6.6',
      forwarded: 'for=6.6.6.6',
      via: 'me',
    };
    await ask(
      await aRouter({ ...supergraph, urls: { ...supergraph.urls, task: seen.url } }),
      '{ tasks(count: 1) { id } }',
      {
        token: supergraph.tokenFor(viewer),
        headers: spoofed,
      },
    );
    const [call] = seen.requests;
    expect(Object.keys(call?.headers ?? {}).sort()).toEqual(
      [
        'accept',
        'connection',
        'content-length',
        'content-type',
        'host',
        'taskflow-context',
        'x-request-id',
      ].sort(),
    );
    const ring = parseKeyRing('dev:insecure-for-production-task-context-key');
    const claims = verifyContext(
      ring,
      'task',
      call?.headers['taskflow-context'] as string,
      call?.body as Buffer,
    );
    expect(claims.viewer).toEqual(viewer);
    expect(claims.clientAddress).toBe('127.0.0.1');
  });

  it('is signed over the exact bytes: one changed byte, another audience or another key is refused', async () => {
    const seen = await aRecordingSubgraph(supergraph);
    const behind = await aRouter({ ...supergraph, urls: { ...supergraph.urls, task: seen.url } });
    await ask(behind, '{ tasks(count: 1) { title } }', { token: supergraph.tokenFor(aViewer()) });
    const { headers, body } = seen.requests[0] as { headers: IncomingMessage['headers']; body: Buffer };
    const context = headers['taskflow-context'] as string;
    const ring = parseKeyRing('dev:insecure-for-production-task-context-key');
    const changed = Buffer.from(body.toString().replace('title', 'titla'));
    expect(() => verifyContext(ring, 'task', context, changed)).toThrow('other-bytes');
    expect(() => verifyContext(ring, 'user', context, body)).toThrow('wrong-audience');
    const others = parseKeyRing('dev:insecure-for-production-user-context-key');
    expect(() => verifyContext(others, 'task', context, body)).toThrow('bad-signature');
  });

  it('passes on what belongs to the request: idempotency key, freshness, language', async () => {
    await ask(router, 'mutation { taskTouch }', {
      token: supergraph.tokenFor(aViewer()),
      headers: { 'idempotency-key': 'k-1', 'taskflow-min-sync-id': 'task.f-1', 'accept-language': 'de-CH' },
    });
    expect(supergraph.calls[0]?.claims).toMatchObject({
      idempotencyKey: 'k-1',
      minSyncId: 'task.f-1',
      locale: 'de-CH',
    });
  });
});

/** A subgraph that writes down what reaches it, and answers what `{ tasks }` needs. */
async function aRecordingSubgraph(_supergraph: TestSupergraph) {
  const requests: { headers: IncomingMessage['headers']; body: Buffer }[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    requests.push({ headers: request.headers, body: Buffer.concat(chunks) });
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"data":{"tasks":[]}}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`, requests };
}
